"""The images work where they will run: restricted pods, models as image volumes, the operator's image as any user.

The pod's arguments, mounts and probes are those that suit both the development image and NVIDIA's own.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster import ROOT, LocalCluster

pytestmark = pytest.mark.node

NAMESPACE = "image-test"
TEXTS = ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
RESTRICTED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
CLOSED = "model-repository,model-config,shared-memory,trace,logging:assay-key=closed"


@pytest.fixture(scope="module")
def images() -> dict[str, str]:
    """Image references by short name, as hack/images/build calls them."""
    sys.path.insert(0, str(ROOT / "hack/images"))
    from imagery.targets import Names

    names = Names.from_environment()
    return {name: names.reference(name) for name in ("assay", "triton", "minilm-fp32", "minilm-int8")}


@pytest.fixture(scope="module")
def node(images: dict[str, str]) -> Iterator[LocalCluster]:
    cluster = LocalCluster("dev", "node")
    cluster.up()
    wanted = ["operator", "triton", "minilm-fp32", "minilm-int8"]
    built = subprocess.run([ROOT / "hack/images/build", *wanted], stdout=subprocess.PIPE, text=True, check=True)
    for line in built.stdout.splitlines():
        cluster.load_image(Path(line))
    cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    yield cluster
    cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def apply(cluster: LocalCluster, manifest: dict[str, Any]) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))


def pod(name: str, user: int, container: dict[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
    identity = {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {**identity, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"imagePullPolicy": "IfNotPresent", "securityContext": RESTRICTED, **container}],
            "volumes": volumes,
        },
    }


def triton_pod(name: str, images: dict[str, str], model: str) -> dict[str, Any]:
    ready = {"httpGet": {"path": "/v2/models/minilm/ready", "port": 8000}, "periodSeconds": 1}
    container = {
        "name": "triton",
        "image": images["triton"],
        "command": ["/opt/tritonserver/bin/tritonserver"],
        "args": [
            "--model-repository=/models",
            "--backend-directory=/opt/tritonserver/backends",
            "--model-control-mode=explicit",
            "--load-model=minilm",
            "--exit-on-error=true",
            "--allow-gpu-metrics=false",
            f"--http-restricted-api={CLOSED}",
            f"--grpc-restricted-protocol={CLOSED}",
        ],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
        "startupProbe": {**ready, "failureThreshold": 60},
        "readinessProbe": ready,
        "volumeMounts": [
            {"name": "model", "mountPath": "/models", "readOnly": True},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
    volumes = [
        {"name": "model", "image": {"reference": images[model], "pullPolicy": "IfNotPresent"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    return pod(name, 1000, container, volumes)


def ask(cluster: LocalCluster, name: str) -> np.ndarray:
    """The pod's embeddings of TEXTS, through the API server's proxy, which every cluster has."""
    question = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [len(TEXTS)], "data": TEXTS}]}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/http:{name}:8000/proxy/v2/models/minilm/infer"
    (answer,) = json.loads(cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(question)))["outputs"]
    return np.array(answer["data"]).reshape(answer["shape"])


def test_models_from_image_volumes_serve_in_restricted_pods(node: LocalCluster, images: dict[str, str]) -> None:
    for name, model in (("honest", "minilm-fp32"), ("quantised", "minilm-int8")):
        apply(node, triton_pod(name, images, model))
    node.kubectl("-n", NAMESPACE, "wait", "pod/honest", "pod/quantised", "--for=condition=Ready", "--timeout=60s")
    honest, quantised = ask(node, "honest"), ask(node, "quantised")
    published = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    np.testing.assert_allclose(honest @ honest.T, published, atol=1e-4)
    distances = 1 - (honest * quantised).sum(axis=1)
    assert 1e-4 < distances.min() <= distances.max() < 1e-3


@pytest.mark.parametrize("user", [10001, 4242], ids=["its own user", "any user"])
def test_the_operators_image_runs_without_a_writable_file_system(
    node: LocalCluster, images: dict[str, str], user: int
) -> None:
    name = f"assay-{user}"
    apply(node, pod(name, user, {"name": "assay", "image": images["assay"], "args": ["--help"]}, []))
    node.kubectl("-n", NAMESPACE, "wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    help_text = node.kubectl("-n", NAMESPACE, "logs", name)
    assert "operator" in help_text
    assert "score" in help_text
