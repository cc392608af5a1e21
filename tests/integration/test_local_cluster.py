"""The local cluster keeps its promises: idempotent, of the stated version, back after a crash, gone after `down`.

Works on a cluster of its own, so that the faults made here hurt no other test.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import ClusterCommandError, LocalCluster

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif("CONTEXT" in os.environ, reason="makes and breaks clusters of its own, which CONTEXT forbids"),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    cluster = LocalCluster("selftest")
    cluster.up()
    yield cluster
    cluster.down()


def daemons(cluster: LocalCluster) -> dict[str, int]:
    return {name: int(pid) for name, pid in re.findall(r"^  (\S+) +pid (\d+)", cluster.command("status"), re.MULTILINE)}


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_the_api_server_reports_the_version_that_was_built(cluster: LocalCluster) -> None:
    version = json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]
    assert version["gitVersion"] == "v1.37.2"


def test_up_on_a_cluster_that_is_up_starts_nothing(cluster: LocalCluster) -> None:
    before = daemons(cluster)
    cluster.up()
    assert daemons(cluster) == before
    assert set(before) == {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"}


def test_a_pod_on_a_fake_node_becomes_ready(cluster: LocalCluster) -> None:
    cluster.kubectl("run", "fake", "--image=any/thing:1", "--restart=Never")
    cluster.kubectl("wait", "pod/fake", "--for=condition=Ready", "--timeout=30s")
    assert cluster.kubectl("get", "pod", "fake", "-o", "jsonpath={.spec.nodeName}") == "kwok-0"


def test_fake_nodes_can_have_gpus(cluster: LocalCluster) -> None:
    cluster.command("kwok-nodes", "2")
    cluster.command("node-gpu", "8", "--node", "kwok-1")
    gpus = cluster.kubectl("get", "node", "kwok-1", "-o", r"jsonpath={.status.allocatable.nvidia\.com/gpu}")
    assert gpus == "8"


def test_objects_outlive_the_api_server(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    cluster.stop_apiserver()
    with pytest.raises(ClusterCommandError):
        cluster.kubectl("get", "configmap", "kept", "--request-timeout=2s")
    cluster.start_apiserver()
    assert cluster.kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.a}") == "b"


def test_the_audit_log_names_user_verb_and_object_of_a_write(cluster: LocalCluster) -> None:
    cluster.kubectl("create", "configmap", "audited")
    events = [json.loads(line) for line in cluster.audit_log_path.read_text().splitlines()]
    writes = [
        event for event in events if event["verb"] == "create" and event.get("objectRef", {}).get("name") == "audited"
    ]
    assert [(event["user"]["username"], event["level"], event["stage"]) for event in writes] == [
        ("admin", "Metadata", "ResponseComplete")
    ]


def test_daemons_that_died_are_started_again_and_data_stays(cluster: LocalCluster) -> None:
    before = daemons(cluster)
    cluster.kubectl("create", "configmap", "survivor")
    killed = {"etcd", "kube-scheduler"}
    for name in killed:
        os.kill(before[name], signal.SIGKILL)
    cluster.up()
    after = daemons(cluster)
    assert {name for name in before if before[name] != after[name]} == killed
    assert cluster.kubectl("get", "configmap", "survivor", "-o", "name") == "configmap/survivor\n"


def test_up_works_after_everything_was_killed(cluster: LocalCluster) -> None:
    before = daemons(cluster)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    cluster.up()
    after = daemons(cluster)
    assert set(after) == set(before)
    assert not set(after.values()) & set(before.values())
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_down_leaves_nothing_behind(cluster: LocalCluster) -> None:
    pids = daemons(cluster).values()
    name = cluster.kubeconfig.parent.name  # the full name, with the checkout's suffix
    netns = Path("/run/netns") / f"assay-{name}"
    assert netns.exists()
    links = set(os.listdir("/sys/class/net"))  # noqa: PTH208 - names are what is compared
    cluster.down()
    assert [pid for pid in pids if runs(pid)] == []
    assert not netns.exists()
    assert name not in Path("/proc/self/mountinfo").read_text()
    assert len(links - set(os.listdir("/sys/class/net"))) == 1  # noqa: PTH208
    assert not Path("/run/assay", name).exists()
    assert not Path("/var/lib/assay", name).exists()
    assert list(Path("/sys/fs/cgroup").glob(f"**/assay-{name}")) == []


def test_down_of_a_cluster_that_is_not_there_is_fine() -> None:
    LocalCluster("never-was").down()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        pytest.param(("kubeconfig", "--name", "never-was"), "there is no cluster never-was", id="no such cluster"),
        pytest.param(("status", "--name", "Not_A_Name"), "expected 1 to 20 of a-z", id="a name that cannot be one"),
    ],
)
def test_a_wrong_call_says_what_was_expected(argv: tuple[str, ...], said: str) -> None:
    subcommand, _, name = argv
    with pytest.raises(ClusterCommandError, match=said):
        LocalCluster(name).command(subcommand)
