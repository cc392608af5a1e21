"""The local node runs what assay needs: restricted pods, image volumes, DNS, Services, GPUs that are only counted.

Everything runs in a namespace that enforces the restricted pod security standard, so passing proves that as well.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import ClusterCommandError, LocalCluster
from probe_image import DATA, DATA_FILE, DATA_IMAGE, PROBE_IMAGE, pack_data, pack_probe

pytestmark = pytest.mark.node

NAMESPACE = "node-test"
SERVICE = "greeter"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> LocalCluster:
    cluster = LocalCluster("dev", "node")
    cluster.up()
    folder = tmp_path_factory.mktemp("images")
    for pack in (pack_probe, pack_data):
        cluster.load_image(pack(folder))
    return cluster


@pytest.fixture(scope="session")
def namespace(node: LocalCluster) -> Iterator[str]:
    node.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(node, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    yield NAMESPACE
    node.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="session")
def server(node: LocalCluster, namespace: str) -> str:
    """A Ready pod that serves the image volume over HTTP, with a Service before it. Returns the name of the pod."""
    manifest = pod(node, "web", ["serve", ":8080", "/data"], volume=True)
    manifest["spec"]["containers"][0]["readinessProbe"] = {
        "httpGet": {"path": DATA_FILE, "port": 8080},
        "periodSeconds": 1,
    }
    port = {"port": 80, "targetPort": 8080}
    apply(node, manifest)
    apply(
        node,
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": namespace},
            "spec": {"selector": {"app": "web"}, "ports": [port]},
        },
    )
    node.kubectl("-n", namespace, "wait", "pod/web", "--for=condition=Ready", "--timeout=60s")
    return "web"


def apply(cluster: LocalCluster, manifest: dict[str, Any]) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


def pod(cluster: LocalCluster, name: str, arguments: list[str], *, volume: bool = False) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": "probe",
        "image": cluster.image(PROBE_IMAGE),
        "args": arguments,
        "securityContext": RESTRICTED,
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "containers": [container],
    }
    if volume:
        image = {"reference": cluster.image(DATA_IMAGE), "pullPolicy": "IfNotPresent"}
        spec["volumes"] = [{"name": "data", "image": image}]
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data", "readOnly": True}]
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def probe(cluster: LocalCluster, in_pod: str, *argv: str) -> str:
    return cluster.kubectl("-n", NAMESPACE, "exec", in_pod, "--", "/probe", *argv)


def probe_until_answered(cluster: LocalCluster, in_pod: str, url: str) -> str:
    """Ask again until kube-proxy has heard that the pod is Ready: about a second, at 0.1 s a try."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return probe(cluster, in_pod, "get", url)
        except ClusterCommandError:
            if time.monotonic() > deadline:
                raise


def test_a_restricted_pod_becomes_ready(node: LocalCluster, server: str) -> None:
    phase = node.kubectl("-n", NAMESPACE, "get", "pod", server, "-o", "jsonpath={.status.phase} {.spec.nodeName}")
    assert phase.startswith("Running ")


def test_a_pod_that_is_not_restricted_is_refused(node: LocalCluster, namespace: str) -> None:
    manifest = pod(node, "loose", ["read", "/probe"])
    del manifest["spec"]["containers"][0]["securityContext"]
    with pytest.raises(ClusterCommandError, match='violates PodSecurity "restricted:latest"'):
        apply(node, manifest)


def test_an_oci_image_is_mounted_as_a_volume(node: LocalCluster, server: str) -> None:
    assert probe(node, server, "read", f"/data{DATA_FILE}") == DATA.decode()


def test_dns_resolves_a_service_to_its_cluster_ip(node: LocalCluster, server: str) -> None:
    cluster_ip = node.kubectl("-n", NAMESPACE, "get", "service", SERVICE, "-o", "jsonpath={.spec.clusterIP}")
    assert probe(node, server, "lookup", f"{SERVICE}.{NAMESPACE}.svc.cluster.local").split() == [cluster_ip]


def test_a_service_answers_a_pod_by_address_and_by_name(node: LocalCluster, server: str) -> None:
    cluster_ip = node.kubectl("-n", NAMESPACE, "get", "service", SERVICE, "-o", "jsonpath={.spec.clusterIP}")
    # From the pod behind it: the way back through the bridge needs the hairpin, too.
    for host in (cluster_ip, SERVICE, f"{SERVICE}.{NAMESPACE}.svc"):
        assert probe_until_answered(node, server, f"http://{host}{DATA_FILE}") == DATA.decode()


def test_a_pod_runs_to_completion_and_its_log_can_be_read(node: LocalCluster, namespace: str) -> None:
    apply(node, pod(node, "once", ["read", f"/data{DATA_FILE}"], volume=True))
    node.kubectl("-n", namespace, "wait", "pod/once", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=30s")
    assert node.kubectl("-n", namespace, "logs", "once") == DATA.decode()


def test_a_pod_that_asks_for_a_gpu_runs_once_the_node_says_it_has_one(node: LocalCluster, namespace: str) -> None:
    if not node.owned:
        pytest.skip("writes into the node's status, which is not for a cluster of the user's")
    node.command("node-gpu", "2")
    manifest = pod(node, "gpu", ["serve", ":8080", "/"])
    manifest["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 2}}
    apply(node, manifest)
    node.kubectl("-n", namespace, "wait", "pod/gpu", "--for=condition=Ready", "--timeout=30s")
    node.kubectl("-n", namespace, "delete", "pod", "gpu")


def test_the_node_has_no_way_out_of_the_machine(node: LocalCluster) -> None:
    if not node.owned:
        pytest.skip("what a cluster of the user's can reach is the user's business")
    show = node.exec_argv("ip", "route", "show", "default")
    assert subprocess.run(show, capture_output=True, text=True, check=True).stdout == ""
