"""ModelDeployments on a real node with real Triton: what serves is Ready within seconds, what does not never is."""

import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from kubernetes import client

from cluster import ROOT
from operated_node import RESTRICTED, TRITON_IMAGE, Node, operated_node
from triton import tiny_repository

pytestmark = pytest.mark.node

READY = ("True", "AllReplicasReady")
QUICK: dict[str, Any] = {"drain": {"preStop": "1s", "exitTimeout": "3s"}}


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    yield from operated_node("minilm-fp32")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of a model that loads in a second, as a ConfigMap holds them."""
    folder = tiny_repository(tmp_path_factory.mktemp("tiny"), model="tiny") / "tiny"
    return {"config.pbtxt": (folder / "config.pbtxt").read_text(), "model.py": (folder / "1/model.py").read_text()}


@pytest.fixture(scope="module")
def namespace(node: Node) -> Iterator[str]:
    yield from fresh_namespace(node, RESTRICTED)


def fresh_namespace(node: Node, labels: dict[str, str]) -> Iterator[str]:
    core = client.CoreV1Api(node.api)
    name = f"md-{secrets.token_hex(3)}"
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    yield name
    core.delete_namespace(name)


def config_map(namespace: str, name: str, files: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": files,
    }


def deployment(namespace: str, name: str, **spec: Any) -> dict[str, Any]:
    """A ModelDeployment of the tiny model, from the ConfigMap of its own name unless `spec` says otherwise."""
    triton = {"source": {"configMap": {"name": name}}, "sharedMemory": "64Mi"}
    whole = {"model": {"name": "tiny", "version": "1"}, **QUICK, **spec}
    if "triton" not in spec or spec["triton"]:
        whole["triton"] = triton | spec.get("triton", {})
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in whole.items() if value is not None},
    }


class Row(NamedTuple):
    """A deployment that must never be Ready."""

    name: str
    spec: dict[str, Any]
    reason: str
    says: str = ""
    files: dict[str, str] | None = None
    """Files laid over those of the tiny model; an empty text takes one away."""
    within_s: float = 30


def limited(memory: str) -> dict[str, Any]:
    return {"podTemplate": {"spec": {"containers": [{"name": "triton", "resources": {"limits": {"memory": memory}}}]}}}


def elsewhere(url: str) -> dict[str, Any]:
    return {"triton": None, "drain": None, "endpoint": {"url": url}}


# Memory that is taken from the container and not given back when the model's process is killed for it.
FILLS_SHARED_MEMORY = """
with open("/dev/shm/fill", "wb") as file:
    for _ in range(400):
        file.write(bytes(1 << 20))
"""

NEVER_READY = [
    Row(
        "no-such-image",
        {"triton": {"image": "registry.invalid/triton:1"}},
        "ImagePullFailed",
        "registry.invalid/triton:1",
    ),
    Row(
        "no-such-model-image",
        {"triton": {"source": {"image": {"reference": "registry.invalid/model:1"}}}},
        "ImagePullFailed",
        "registry.invalid/model:1",
    ),
    Row(
        "forbidden-pull",
        {"triton": {"source": {"image": {"reference": "localhost/none:1", "pullPolicy": "Never"}}}},
        "ImagePullFailed",
    ),
    Row("broken-config", {}, "ModelLoadFailed", files={"config.pbtxt": "this is { no pbtxt"}),
    Row(
        "unknown-backend",
        {},
        "ModelLoadFailed",
        "unable to find backend library",
        {"config.pbtxt": 'name: "tiny"\nbackend: "nope"\n'},
    ),
    Row(
        "raising-model",
        {},
        "ModelLoadFailed",
        "no tokenizer here",
        {"model.py": "raise OSError('no tokenizer here')\n"},
    ),
    Row("model-of-another-name", {"model": {"name": "other", "version": "1"}}, "ModelLoadFailed"),
    Row(
        "version-that-is-not-there",
        {
            "model": {"name": "tiny", "version": "2"},
            "triton": {"source": {"image": {"reference": "localhost/assay/minilm-fp32:dev"}}},
        },
        "ModelLoadFailed",
    ),
    Row("unknown-argument", {"triton": {"args": ["--no-such-argument=1"]}}, "CrashLoop"),
    Row("wrong-command-image", {"triton": {"image": "assay.local/pause:1"}}, "ContainerNotCreated", "tritonserver"),
    Row(
        "out-of-memory",
        {**limited("200Mi"), "triton": {"sharedMemory": "1Gi"}},
        "OOMKilled",
        "resources.limits.memory",
        {"model.py": FILLS_SHARED_MEMORY},
    ),
    Row("no-gpu", {"gpus": {"count": 1}}, "WaitingForGPU", "nvidia.com/gpu"),
    Row(
        "no-node",
        {"podTemplate": {"spec": {"nodeSelector": {"no": "such-node"}}}},
        "Unschedulable",
        "node affinity/selector",
    ),
    Row(
        "no-claim",
        {"triton": {"source": {"persistentVolumeClaim": {"claimName": "none"}}}},
        "Unschedulable",
        'persistentvolumeclaim "none" not found',
    ),
    Row("no-config-map", {"triton": {"source": {"configMap": {"name": "none"}}}}, "PodStarting"),
    Row("no-configuration", {}, "CrashLoop", files={"config.pbtxt": ""}),
    Row("slow-to-load", {}, "ModelLoading", files={"model.py": "import time\ntime.sleep(600)\n"}),
    Row("host-network", {"podTemplate": {"spec": {"hostNetwork": True}}}, "InvalidSpec", "hostNetwork", within_s=5),
    Row("disarmed", {"triton": {"args": ["--exit-on-error=false"]}}, "InvalidSpec", "--exit-on-error", within_s=5),
    Row(
        "refused-by-the-server",
        {"podTemplate": {"spec": {"dnsPolicy": "Nonsense"}}},
        "Refused",
        "dnsPolicy",
        within_s=5,
    ),
    Row("silent-endpoint", elsewhere("grpc://10.255.255.1:8001"), "Unreachable", within_s=5),
    Row("endpoint-without-a-name", elsewhere("grpc://no-such-host.invalid:8001"), "Unreachable", within_s=5),
    Row("endpoint-on-loopback", elsewhere("http://127.0.0.1:8081"), "InvalidSpec", "loopback", within_s=5),
    Row("endpoint-of-metadata", elsewhere("http://169.254.169.254"), "InvalidSpec", "metadata", within_s=5),
    Row(
        "api-server-as-endpoint",
        elsewhere("https://kubernetes.default.svc"),
        "InvalidSpec",
        "control plane",
        within_s=5,
    ),
    Row(
        "no-service",
        {"triton": None, "drain": None, "serviceRef": {"name": "none", "port": 8001}},
        "ServiceNotFound",
        within_s=5,
    ),
    Row("suspended", {"suspend": True}, "Suspended", within_s=5),
    Row("scaled-to-zero", {"replicas": 0}, "ScaledToZero", within_s=5),
]


@pytest.fixture(scope="module")
def hopeless(node: Node, namespace: str, tiny: dict[str, str]) -> str:
    """All rows, applied at once."""
    maps = [
        config_map(namespace, row.name, {key: text for key, text in (tiny | (row.files or {})).items() if text})
        for row in NEVER_READY
    ]
    node.apply(*maps, *(deployment(namespace, row.name, **row.spec) for row in NEVER_READY))
    return namespace


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in NEVER_READY])
def test_what_does_not_serve_says_why_and_was_never_ready(node: Node, hopeless: str, row: Row) -> None:
    node.history.wait(hopeless, row.name, lambda ready: ready == ("False", row.reason), row.within_s)
    conditions = node.deployment(hopeless, row.name)["status"]["conditions"]
    ready = next(it for it in conditions if it["type"] == "Ready")
    assert row.says in ready["message"]
    assert "True" not in {status for status, _ in node.history.of(hopeless, row.name)}


def test_a_real_model_from_an_image_is_ready_within_seconds(node: Node, namespace: str) -> None:
    source = {"source": {"image": {"reference": "localhost/assay/minilm-fp32:dev"}}}
    node.apply(deployment(namespace, "minilm", model={"name": "minilm", "version": "1"}, triton=source))
    took_s = node.history.wait(namespace, "minilm", lambda ready: ready == READY, 30)
    status = node.deployment(namespace, "minilm")["status"]
    assert status["modelStatus"]["state"] == "Loaded"
    assert "lastFailure" not in status["modelStatus"]
    print(f"ready {took_s:.1f} s after it was applied")


@pytest.fixture(scope="module")
def serving(node: Node, namespace: str, tiny: dict[str, str]) -> str:
    """A deployment that serves; returns its name."""
    node.apply(config_map(namespace, "tiny", tiny), deployment(namespace, "tiny"))
    node.history.wait(namespace, "tiny", lambda ready: ready == READY, 60)
    return "tiny"


def test_ready_is_gone_within_five_seconds_of_a_fault_and_back_within_five_of_its_end(
    node: Node, namespace: str, serving: str
) -> None:
    pod = node.pods(namespace, serving)[0]
    assert node.triton(pod, "/v2/repository/models/tiny/unload", method="POST") == 200
    node.history.wait(namespace, serving, lambda ready: ready == ("False", "ModelUnavailable"), 5)
    assert node.triton(pod, "/v2/repository/models/tiny/load", method="POST") == 200
    node.history.wait(namespace, serving, lambda ready: ready == READY, 5)
    failure = node.deployment(namespace, serving)["status"]["modelStatus"]["lastFailure"]
    assert failure["reason"] == "ModelUnavailable"


def test_a_service_that_serves_is_adopted_without_being_touched(node: Node, namespace: str, serving: str) -> None:
    core = client.CoreV1Api(node.api)
    service = {
        "metadata": {"name": "plain"},
        "spec": {
            "selector": {"assay.dev/name": serving},
            "ports": [{"name": "grpc", "port": 9001, "targetPort": 8001}],
        },
    }
    core.create_namespaced_service(namespace, service)
    before = core.read_namespaced_service("plain", namespace).metadata.resource_version
    adopts = {"triton": None, "drain": None, "serviceRef": {"name": "plain", "port": 9001}}
    node.apply(deployment(namespace, "adopted", **adopts))
    node.history.wait(namespace, "adopted", lambda ready: ready == ("True", "Serving"), 15)
    assert core.read_namespaced_service("plain", namespace).metadata.resource_version == before


def test_an_endpoint_that_serves_is_ready_and_one_of_another_model_is_not(
    node: Node, namespace: str, serving: str
) -> None:
    host = f"tiny-triton.{namespace}.svc.cluster.local"
    node.apply(
        deployment(namespace, "by-grpc", **elsewhere(f"grpc://{host}:8001")),
        deployment(namespace, "by-http", **elsewhere(f"http://{host}:8000")),
        deployment(namespace, "another", model={"name": "bert", "version": "1"}, **elsewhere(f"grpc://{host}:8001")),
        deployment(namespace, "wrong-port", **elsewhere(f"http://{host}:8002")),
    )
    for name in ("by-grpc", "by-http"):
        node.history.wait(namespace, name, lambda ready: ready == ("True", "Serving"), 15)
    node.history.wait(namespace, "another", lambda ready: ready == ("False", "ModelUnavailable"), 5)
    node.history.wait(namespace, "wrong-port", lambda ready: ready[0] == "False", 5)
    assert "True" not in {
        status for name in ("another", "wrong-port") for status, _ in node.history.of(namespace, name)
    }


@pytest.mark.parametrize("kind", ["deployment", "service", "serviceaccount"])
def test_a_child_deleted_by_hand_is_back_within_ten_seconds(
    node: Node, namespace: str, serving: str, kind: str
) -> None:
    name = f"{serving}-triton"
    node.cluster.kubectl("-n", namespace, "delete", kind, name, "--cascade=orphan", "--wait=true")
    node.cluster.kubectl("-n", namespace, "wait", "--for=create", f"{kind}/{name}", "--timeout=10s")
    node.history.wait(namespace, serving, lambda ready: ready == READY, 60)


def test_a_subnet_that_does_not_exist_takes_no_serving_down(node: Node, namespace: str, tiny: dict[str, str]) -> None:
    lost = deployment(namespace, "lost", subnetRef={"name": "none"})
    node.apply(config_map(namespace, "lost", tiny), lost)
    node.history.wait(namespace, "lost", lambda ready: ready == READY, 60)
    conditions = {it["type"]: it["reason"] for it in node.deployment(namespace, "lost")["status"]["conditions"]}
    assert conditions["Registered"] == "SubnetNotFound"


def test_scaling_by_kubectl_reaches_the_pods_and_the_status(node: Node, namespace: str, serving: str) -> None:
    node.cluster.kubectl("-n", namespace, "scale", f"modeldeployment/{serving}", "--replicas=2")
    node.cluster.kubectl(
        *("-n", namespace, "wait", f"modeldeployment/{serving}"),
        *("--for=jsonpath={.status.readyReplicas}=2", "--timeout=60s"),
    )
    assert len(node.pods(namespace, serving)) == 2
    node.cluster.kubectl("-n", namespace, "scale", f"modeldeployment/{serving}", "--replicas=1")
    node.history.wait(namespace, serving, lambda ready: ready == READY, 60)


def test_rolling_updates_fail_no_request_of_clients_that_keep_their_grpc_connections(
    node: Node, namespace: str, tiny: dict[str, str]
) -> None:
    def wanted(revision: int) -> dict[str, Any]:
        env = [{"name": "REVISION", "value": str(revision)}]
        template = {"spec": {"containers": [{"name": "triton", "env": env}]}}
        drain = {"preStop": "5s", "exitTimeout": "5s"}
        return deployment(namespace, "rolling", replicas=2, drain=drain, podTemplate=template)

    node.apply(config_map(namespace, "rolling", tiny), wanted(0))
    node.history.wait(namespace, "rolling", lambda ready: ready == READY, 60)
    service = client.CoreV1Api(node.api).read_namespaced_service("rolling-triton", namespace)
    argv = [sys.executable, str(ROOT / "tests/support/grpc_load.py"), f"{service.spec.cluster_ip}:8001", "tiny", "4"]
    load = subprocess.Popen(node.cluster.exec_argv(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        for revision in (1, 2, 3):
            node.apply(wanted(revision))
            node.history.wait(namespace, "rolling", lambda ready: ready[0] == "False", 10)
            node.history.wait(namespace, "rolling", lambda ready: ready == READY, 60)
        output, _ = load.communicate(input="", timeout=30)
    finally:
        load.kill()
    outcome = json.loads(output)
    print(f"{outcome['answered']} requests answered during 3 rolling updates")
    assert outcome["failed"] == []
    assert outcome["answered"] > 100


def test_a_quota_that_is_used_up_is_told(node: Node, tiny: dict[str, str]) -> None:
    for crowded in fresh_namespace(node, RESTRICTED):
        quota = {"metadata": {"name": "small"}, "spec": {"hard": {"pods": "0"}}}
        client.CoreV1Api(node.api).create_namespaced_resource_quota(crowded, quota)
        node.apply(config_map(crowded, "tiny", tiny), deployment(crowded, "tiny"))
        node.history.wait(crowded, "tiny", lambda ready: ready == ("False", "QuotaExceeded"), 15)
        client.CoreV1Api(node.api).delete_namespaced_resource_quota("small", crowded)
        node.cluster.kubectl("-n", crowded, "rollout", "restart", "deployment/tiny-triton")
        node.history.wait(crowded, "tiny", lambda ready: ready == READY, 60)


def test_a_broken_update_keeps_the_old_pods_serving_and_says_so(
    node: Node, namespace: str, tiny: dict[str, str]
) -> None:
    node.apply(config_map(namespace, "careful", tiny))
    careful = {"rollout": {"maxSurge": 1, "maxUnavailable": 0}}
    node.apply(deployment(namespace, "careful", **careful))
    node.history.wait(namespace, "careful", lambda ready: ready == READY, 60)
    node.apply(deployment(namespace, "careful", triton={"image": "registry.invalid/triton:2"}, **careful))
    node.history.wait(namespace, "careful", lambda ready: ready == ("False", "ImagePullFailed"), 30)
    conditions = {it["type"]: it["status"] for it in node.deployment(namespace, "careful")["status"]["conditions"]}
    assert conditions["Servable"] == "True"
    node.apply(deployment(namespace, "careful", **careful))
    node.history.wait(namespace, "careful", lambda ready: ready == READY, 60)


def test_a_deployment_that_turns_to_an_endpoint_leaves_no_pods(
    node: Node, namespace: str, tiny: dict[str, str]
) -> None:
    node.apply(config_map(namespace, "turning", tiny), deployment(namespace, "turning"))
    node.history.wait(namespace, "turning", lambda ready: ready == READY, 60)
    turned = deployment(namespace, "turning", **elsewhere("grpc://no-such-host.invalid:8001"))
    node.cluster.kubectl("replace", "-f", "-", stdin=json.dumps(turned))
    for kind in ("deployment", "service", "serviceaccount"):
        node.cluster.kubectl("-n", namespace, "wait", "--for=delete", f"{kind}/turning-triton", "--timeout=10s")


def test_the_pod_runs_the_operators_default_image_and_holds_no_token(node: Node, namespace: str, serving: str) -> None:
    container = node.pods(namespace, serving)[0].spec.containers[0]
    assert container.image == node.cluster.image(TRITON_IMAGE)
    assert not [mount for mount in container.volume_mounts if mount.mount_path.startswith("/var/run/secrets")]
