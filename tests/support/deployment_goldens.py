"""The variants of a ModelDeployment whose children have goldens; read by unit tests and by the API server's dry run."""

import os
from pathlib import Path
from typing import Any

from assay.desired import triton as desired
from deployments import model_deployment, wished_workload

GOLDENS = Path(__file__).resolve().parents[1] / "golden" / "modeldeployment"

VARIANTS: dict[str, dict[str, Any]] = {
    "cpu-model-from-an-image": {},
    "two-gpus-and-three-replicas": {
        "gpus": {"count": 2},
        "replicas": 3,
        "rollout": {"maxSurge": 1, "maxUnavailable": 0},
    },
    "model-on-a-volume-below-a-path": {
        "triton": {
            "image": "registry.example/triton:24.10",
            "source": {"persistentVolumeClaim": {"claimName": "models", "subPath": "repositories/a"}},
            "backendDirectory": "/opt/backends",
            "args": ["--log-verbose=1", "--http-thread-count=4"],
        },
    },
    "python-model-from-a-config-map": {"triton": {"source": {"configMap": {"name": "tiny"}}}},
    "no-shared-memory-and-no-drain": {
        "triton": {
            "source": {"image": {"reference": "models.example/minilm:1", "pullPolicy": "Never"}},
            "sharedMemory": "0",
        },
        "drain": {"preStop": "0s", "exitTimeout": "0s"},
    },
    "suspended": {"suspend": True, "replicas": 2},
    "shaped-by-a-pod-template": {
        "podTemplate": {
            "metadata": {"labels": {"team": "search"}, "annotations": {"prometheus.io/scrape": "true"}},
            "spec": {
                "priorityClassName": "serving",
                "nodeSelector": {"pool": "cpu"},
                "tolerations": [{"key": "dedicated", "operator": "Exists"}],
                "imagePullSecrets": [{"name": "registry"}],
                "securityContext": {"runAsUser": 1234},
                "volumes": [{"name": "cache", "emptyDir": {}}, {"name": "tmp", "emptyDir": {"sizeLimit": "2Gi"}}],
                "initContainers": [{"name": "warm", "image": "registry.example/warm:1"}],
                "containers": [
                    {
                        "name": "triton",
                        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
                        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}},
                        "readinessProbe": {"periodSeconds": 5},
                        "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
                    },
                    {"name": "exporter", "image": "registry.example/exporter:1"},
                ],
            },
        },
    },
}


def manifests(variant: str) -> list[dict[str, Any]]:
    """The children of a variant, in the order in which they are applied."""
    deployment = model_deployment(VARIANTS[variant])
    return [desired.service_account(deployment), desired.service(deployment), wished_workload(deployment)]


def golden_path(variant: str) -> Path:
    """The file that holds them."""
    return GOLDENS / f"{variant}.yaml"


def update_wanted() -> bool:
    """Whether goldens are rewritten instead of compared."""
    return os.environ.get("ASSAY_UPDATE_GOLDENS") == "1"
