"""A node with running pods is cleared away whole, after a clean life as after a crash, and beside another node.

Works on a cluster of its own; what is left is looked for on the machine, not asked of the code under test.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import LocalCluster
from probe_image import PROBE_IMAGE, pack_probe

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif("CONTEXT" in os.environ, reason="makes and breaks clusters of its own, which CONTEXT forbids"),
]

SYSCTLS = ("vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    cluster = LocalCluster("selfnode", "node")
    cluster.down()
    cluster.up()
    cluster.load_image(pack_probe(tmp_path_factory.mktemp("images")))
    yield cluster
    cluster.down()


def run_pod(cluster: LocalCluster) -> None:
    cluster.kubectl("run", "web", f"--image={PROBE_IMAGE}", "--restart=Never", "--", "serve", ":8080", "/")
    cluster.kubectl("wait", "pod/web", "--for=condition=Ready", "--timeout=60s")


def daemons(cluster: LocalCluster) -> set[int]:
    return {int(pid) for pid in re.findall(r" pid (\d+)", cluster.command("status"))}


def pod_processes(full_name: str) -> set[int]:
    files = Path("/sys/fs/cgroup").glob(f"**/assay-{full_name}/**/cgroup.procs")
    return {int(pid) for file in files for pid in file.read_text().split()}


def running(pids: set[int]) -> set[int]:
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            continue
    return {pid for pid, state in states.items() if state not in "ZX"}


def test_a_node_comes_back_after_everything_but_its_pods_was_killed(cluster: LocalCluster) -> None:
    run_pod(cluster)
    full_name = cluster.kubeconfig.parent.name
    old_pods = pod_processes(full_name)
    assert old_pods
    for pid in daemons(cluster):
        os.kill(pid, signal.SIGKILL)
    assert running(old_pods)  # containers outlive the daemons: they are what a crash leaves behind
    cluster.up()
    assert not running(old_pods)
    nodes = json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["node"]


def test_a_running_pod_outlives_containerd_and_kubelet(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.load_image(pack_probe(tmp_path))
    run_pod(cluster)
    before = pod_processes(cluster.kubeconfig.parent.name)
    for component in ("kubelet", "containerd"):
        cluster.command("stop", component)
    cluster.up()
    assert before <= running(before)
    assert cluster.kubectl("exec", "web", "--", "/probe", "lookup", "kubernetes.default.svc").split() == ["10.96.0.1"]


def test_down_with_pods_running_leaves_nothing_behind(cluster: LocalCluster) -> None:
    full_name = cluster.kubeconfig.parent.name
    pids = daemons(cluster) | pod_processes(full_name)
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    parameters = {name: Path("/proc/sys", name).read_text() for name in SYSCTLS}
    cluster.down()
    assert running(pids) == set()
    assert full_name not in Path("/proc/self/mountinfo").read_text()
    assert len(links - {path.name for path in Path("/sys/class/net").iterdir()}) == 1
    assert list(Path("/sys/fs/cgroup").glob(f"**/assay-{full_name}")) == []
    folders = (Path("/run/netns"), Path("/run/assay"), Path("/var/lib/assay"), Path("/var/log"), Path("/var/lib/cni"))
    assert [path for folder in folders if folder.exists() for path in folder.glob(f"*{full_name}")] == []
    assert {name: Path("/proc/sys", name).read_text() for name in SYSCTLS} == parameters
