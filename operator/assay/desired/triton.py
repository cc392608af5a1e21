"""The children of a ModelDeployment that serves by Triton: ServiceAccount, Deployment, Service.

Builds whole manifests from the spec and a few facts, and knows the one layout they share: ports, paths, labels.
Invariants: the pod holds no token and passes Pod Security `restricted`; readiness asks the model and not the server;
Triton loads exactly the models it was told to and ends when it cannot; nothing in the pod template depends on the
operator's version, on replicas, or on anything that scoring decides, so none of these rolls a pod.
"""

import json
import math
import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from assay.api import ModelDeployment, ModelDeploymentSpec, Triton
from assay.desired.modelsource import MODELS_DIRECTORY, model_mounts, model_volume, sub_path
from assay.desired.names import LABEL_KIND, LABEL_NAME, child_metadata, labels, short_digest
from assay.desired.podsecurity import RESTRICTED_CONTAINER
from assay.desired.podtemplate import Fixed, merge_pod_template

KIND: Final = "ModelDeployment"
ROLE: Final = "triton"
CONTAINER: Final = "triton"
GRPC_PORT: Final = 8001
HTTP_PORT: Final = 8000
METRICS_PORT: Final = 8002
USER_ID: Final = 1000
BACKEND_DIRECTORY: Final = "/opt/tritonserver/backends"
TEMPORARY_DIRECTORY: Final = "/tmp"  # noqa: S108 - an emptyDir of the pod alone

STARTUP_BUDGET_S: Final = 1200
"""How long a model may take to load before its container is started anew; a podTemplate may give it more."""

GRACE_MARGIN_S: Final = 5
"""What the kubelet and Triton need around the two waits of a drain."""

CONNECTION_AGE_MIN_MS: Final = 2000
"""Connections are not renewed more often than this, however short the drain."""

ANNOTATION_TEMPLATE: Final = "assay.dev/template-digest"
"""On the Deployment: digest of the pod template last applied, so that what runs can be told from what is wished."""

ANNOTATION_DEFAULT_IMAGE: Final = "assay.dev/default-image"
"""On the Deployment: the image it was given because its owner named none. It stays, or an upgrade would roll pods."""

FIXED_CONTAINER_FIELDS: Final[Fixed] = {
    ("image",): "set spec.triton.image",
    ("command",): "set spec.triton.image and spec.triton.args",
    ("args",): "set spec.triton.args",
    ("readinessProbe", "httpGet"): "readiness asks the model; tune its numbers only",
    ("livenessProbe", "httpGet"): "tune the probe's numbers only",
    ("startupProbe", "httpGet"): "tune the probe's numbers only",
    ("lifecycle", "preStop"): "set spec.drain.preStop",
}
FIXED_POD_FIELDS: Final[Fixed] = {("terminationGracePeriodSeconds",): "set spec.drain"}

KEPT_FLAGS: Final = {
    "--exit-on-error": "a server whose model failed must not look alive; remove the flag",
    "--strict-readiness": "a server without its model must not look ready; remove the flag",
    "--unload-model": "the model is what this deployment is for; remove the flag",
}
"""Flags beyond those that the schema refuses, with the reason why the operator sets or keeps them."""


@dataclass(frozen=True)
class Facts:
    """What the builders know besides the spec.

    Attributes:
        triton_image: image for deployments that name none.
        cluster_domain: DNS domain of the cluster.
    """

    triton_image: str
    cluster_domain: str = "cluster.local"


def child_name(deployment: str) -> str:
    """The name of all children. The suffix keeps a ModelDeployment called `default` away from what is there already."""
    return f"{deployment}-triton"


def selector_labels(deployment: str) -> dict[str, str]:
    """Labels that select the pods. A Deployment's selector never changes, so nothing may ever be added here."""
    return {LABEL_KIND: KIND, LABEL_NAME: deployment}


def selector_text(deployment: str) -> str:
    """The same for autoscalers, as a label selector string."""
    return ",".join(f"{key}={value}" for key, value in selector_labels(deployment).items())


def addresses(deployment: ModelDeployment, facts: Facts) -> dict[str, str]:
    """Where the pods answer, by protocol."""
    host = f"{child_name(deployment.metadata.name)}.{deployment.metadata.namespace}.svc.{facts.cluster_domain}"
    return {
        "grpc": f"grpc://{host}:{GRPC_PORT}",
        "http": f"http://{host}:{HTTP_PORT}",
        "metrics": f"http://{host}:{METRICS_PORT}/metrics",
    }


def service_account(deployment: ModelDeployment) -> dict[str, Any]:
    """An identity without rights and without a token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _metadata(deployment),
        "automountServiceAccountToken": False,
    }


def service(deployment: ModelDeployment) -> dict[str, Any]:
    """One stable address for all ready pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(deployment),
        "spec": {
            "type": "ClusterIP",
            "selector": selector_labels(deployment.metadata.name),
            "ports": [
                {"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "protocol": "TCP"},
                {"name": "http", "port": HTTP_PORT, "targetPort": "http", "protocol": "TCP"},
                {"name": "metrics", "port": METRICS_PORT, "targetPort": "metrics", "protocol": "TCP"},
            ],
        },
    }


def workload(deployment: ModelDeployment, *, image: str, defaulted: bool) -> dict[str, Any]:
    """The Deployment that runs Triton.

    Args:
        deployment: with `spec.triton`.
        image: Triton's image.
        defaulted: whether the owner left the image to the operator.

    Raises:
        PodTemplateRefused: `spec.podTemplate` would break what the pod has to keep.
    """
    spec, name = deployment.spec, deployment.metadata.name
    template = merge_pod_template(
        pod_template(deployment, image),
        spec.pod_template,
        container=CONTAINER,
        fixed={**FIXED_CONTAINER_FIELDS, **_fixed_gpus(spec)},
        fixed_pod=FIXED_POD_FIELDS,
        path="spec.podTemplate",
    )
    metadata = _metadata(deployment)
    metadata["annotations"] = {ANNOTATION_TEMPLATE: template_digest(template)}
    if defaulted:
        metadata["annotations"][ANNOTATION_DEFAULT_IMAGE] = image
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 0 if spec.suspend else spec.replicas,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": STARTUP_BUDGET_S + 60,
            "selector": {"matchLabels": selector_labels(name)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {
                    "maxSurge": spec.rollout.max_surge,
                    "maxUnavailable": spec.rollout.max_unavailable,
                },
            },
            "template": template,
        },
    }


def template_digest(template: Mapping[str, Any]) -> str:
    """A short digest of a pod template: equal exactly if the templates are."""
    return short_digest(json.dumps(template, sort_keys=True, separators=(",", ":")), length=16)


def refused_arguments(triton: Triton) -> list[str]:
    """Problems with `spec.triton.args` that the schema lets through, each with its remedy."""
    flags = ((index, argument.split("=", 1)[0]) for index, argument in enumerate(triton.args))
    return [f"spec.triton.args[{index}]: {flag}: {KEPT_FLAGS[flag]}" for index, flag in flags if flag in KEPT_FLAGS]


def pod_template(deployment: ModelDeployment, image: str) -> dict[str, Any]:
    """The pod before the owner's podTemplate is merged in."""
    spec = deployment.spec
    triton = _triton(spec)
    return {
        "metadata": {"labels": labels(KIND, deployment.metadata.name, ROLE)},
        "spec": {
            "serviceAccountName": child_name(deployment.metadata.name),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": grace_period_s(spec),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER_ID,
                "runAsGroup": USER_ID,
                "fsGroup": USER_ID,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "topologySpreadConstraints": [_spread(deployment.metadata.name)],
            "containers": [_container(spec, triton, image)],
            "volumes": [model_volume(triton.source), *_scratch_volumes(triton)],
        },
    }


def grace_period_s(spec: ModelDeploymentSpec) -> int:
    """The one formula of a drain: keep serving while traffic turns away, finish what is in flight, then a margin."""
    return _whole_s(spec.drain.pre_stop_s) + _whole_s(spec.drain.exit_timeout_s) + GRACE_MARGIN_S


def _container(spec: ModelDeploymentSpec, triton: Triton, image: str) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image,
        # Named as a command, or NGC's entry point prints a banner and looks for GPUs first.
        "command": ["tritonserver"],
        "args": arguments(spec, triton),
        # Python models unpack and cache below HOME; the root file system is read-only.
        "env": [{"name": "HOME", "value": TEMPORARY_DIRECTORY}, {"name": "TMPDIR", "value": TEMPORARY_DIRECTORY}],
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        **_probes(spec),
        "resources": {"limits": {spec.gpus.resource: str(spec.gpus.count)}} if spec.gpus and spec.gpus.count else {},
        "securityContext": {**RESTRICTED_CONTAINER, "readOnlyRootFilesystem": True},
        # The end of Triton's log says why a model did not load; the status quotes it.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [*model_mounts(spec.model, triton.source), *_scratch_mounts(triton)],
    }
    pre_stop_s = _whole_s(spec.drain.pre_stop_s)
    if pre_stop_s:
        # Triton closes HTTP the moment it is asked to stop, while endpoints are still being taken out of the Service.
        container["lifecycle"] = {"preStop": {"sleep": {"seconds": pre_stop_s}}}
    return container


def arguments(spec: ModelDeploymentSpec, triton: Triton) -> list[str]:
    """Triton's command line: ours first, then the owner's."""
    uses_gpu = spec.gpus is not None and spec.gpus.count > 0
    return [
        f"--model-repository={posixpath.join(MODELS_DIRECTORY, sub_path(triton.source)).rstrip('/')}",
        f"--backend-directory={triton.backend_directory or BACKEND_DIRECTORY}",
        "--model-control-mode=explicit",
        f"--load-model={spec.model.name}",
        "--exit-on-error=true",
        "--strict-readiness=true",
        f"--exit-timeout-secs={_whole_s(spec.drain.exit_timeout_s)}",
        *_connection_age(spec),
        *([] if uses_gpu else ["--allow-gpu-metrics=false"]),
        *triton.args,
    ]


def _connection_age(spec: ModelDeploymentSpec) -> list[str]:
    """Let gRPC connections be renewed often enough that a leaving pod loses them all while it still serves.

    A Service balances connections, not requests: without an end of their own they would stay with the leaving pod until
    it breaks them, and requests with them. A renewal is graceful; what is in flight finishes.
    """
    age_ms = round(spec.drain.pre_stop_s * 1000 / 2)
    return [f"--grpc-max-connection-age={max(age_ms, CONNECTION_AGE_MIN_MS)}"] if age_ms else []


def _probes(spec: ModelDeploymentSpec) -> dict[str, Any]:
    model = f"/v2/models/{spec.model.name}"
    return {
        # The version is asked for once: a server that has another one never becomes ready.
        "startupProbe": {
            "httpGet": {"path": f"{model}/versions/{spec.model.version}/ready", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 2,
            "failureThreshold": STARTUP_BUDGET_S,
        },
        # Not /v2/health/ready: that stays 200 after the model was unloaded (triton #7588).
        "readinessProbe": {
            "httpGet": {"path": f"{model}/ready", "port": "http"},
            "periodSeconds": 2,
            "timeoutSeconds": 2,
            "failureThreshold": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/v2/health/live", "port": "http"},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
    }


def _scratch_volumes(triton: Triton) -> list[dict[str, Any]]:
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    if triton.shared_memory != "0":
        volumes.append({"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": triton.shared_memory}})
    return volumes


def _scratch_mounts(triton: Triton) -> list[dict[str, Any]]:
    mounts = [{"name": "tmp", "mountPath": TEMPORARY_DIRECTORY}]
    if triton.shared_memory != "0":
        mounts.append({"name": "shm", "mountPath": "/dev/shm"})  # noqa: S108 - an emptyDir of the pod alone
    return mounts


def _spread(deployment: str) -> dict[str, Any]:
    return {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector_labels(deployment)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _fixed_gpus(spec: ModelDeploymentSpec) -> Fixed:
    resource = spec.gpus.resource if spec.gpus else "nvidia.com/gpu"
    return {("resources", "limits", resource): "set spec.gpus"}


def _metadata(deployment: ModelDeployment) -> dict[str, Any]:
    return child_metadata(KIND, deployment.metadata, ROLE, child_name(deployment.metadata.name))


def _triton(spec: ModelDeploymentSpec) -> Triton:
    if spec.triton is None:
        raise ValueError("spec.triton: absent; pods are built only for a ModelDeployment that serves by triton")
    return spec.triton


def _whole_s(seconds: float) -> int:
    return math.ceil(seconds)
