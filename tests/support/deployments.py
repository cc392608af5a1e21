"""ModelDeployments, their children and pods as the API server would hold them, for planner tests.

Builders with defaults: a test names only what it is about.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from assay.api import ModelDeployment, Subnet
from assay.desired import triton as desired
from assay.planning.modeldeployment import Children, Snapshot

NAMESPACE = "miners"
NAME = "minilm"
UID = "11111111-1111-1111-1111-111111111111"
FACTS = desired.Facts(triton_image="nvcr.io/nvidia/tritonserver:26.09-py3")
NOW_TEXT = "2026-11-24T20:00:00Z"
IMAGE_SOURCE: dict[str, Any] = {"source": {"image": {"reference": "models.example/minilm:1"}}}


def manifest(spec: Mapping[str, Any] | None = None, *, name: str = NAME, **fields: Any) -> dict[str, Any]:
    """A ModelDeployment on the wire. `spec` is laid over a Triton deployment of minilm; None removes a field."""
    whole = {"model": {"name": "minilm", "version": "1"}, "triton": copy.deepcopy(IMAGE_SOURCE), **(spec or {})}
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": UID, "generation": 3, **fields.pop("metadata", {})},
        "spec": {key: value for key, value in whole.items() if value is not None},
        **fields,
    }


def model_deployment(spec: Mapping[str, Any] | None = None, **fields: Any) -> ModelDeployment:
    """The same, parsed."""
    return ModelDeployment.parse(manifest(spec, **fields))


def endpoint(url: str = "grpc://miner.example:8001", **spec: Any) -> dict[str, Any]:
    """Spec fields of a miner elsewhere."""
    return {"triton": None, "endpoint": {"url": url}, **spec}


def service_ref(name: str = "nim", port: int = 8001, **spec: Any) -> dict[str, Any]:
    """Spec fields of a miner that adopts a Service."""
    return {"triton": None, "serviceRef": {"name": name, "port": port}, **spec}


def live(applied: Mapping[str, Any], **status: Any) -> dict[str, Any]:
    """A child as it comes back from the API server after it was applied."""
    obj = copy.deepcopy(dict(applied))
    obj["metadata"] |= {"uid": f"{obj['kind']}-uid", "generation": 1}
    if status:
        obj["status"] = status
    return obj


def children(
    deployment: ModelDeployment,
    *,
    ready: int = 0,
    total: int | None = None,
    conditions: Sequence[Any] = (),
    **status: Any,
) -> Children:
    """All children of a deployment in place, observed, with `ready` of `total` replicas (all of them by default)."""
    wished = wished_workload(deployment)
    total = wished["spec"]["replicas"] if total is None else total
    counts = {"replicas": total, "updatedReplicas": total, "readyReplicas": ready, "observedGeneration": 1}
    rolled_out = {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"}
    return Children(
        service_account=live(desired.service_account(deployment)),
        deployment=live(wished, **(counts | {"conditions": [*conditions, rolled_out]} | status)),
        service=live(desired.service(deployment)),
    )


def wished_workload(deployment: ModelDeployment) -> dict[str, Any]:
    """The Deployment that the builders ask for."""
    triton = deployment.spec.triton
    assert triton is not None
    return desired.workload(deployment, image=triton.image or FACTS.triton_image, defaulted=triton.image is None)


def pod(
    number: int = 0,
    *,
    ready: bool = False,
    state: Mapping[str, Any] | None = None,
    ready_since: str = "2026-11-24T19:49:59Z",
    **fields: Any,
) -> dict[str, Any]:
    """A pod with one container `triton`, started at 19:50.

    `state` is its container status, laid over one that runs; `ready_since` is when its readiness last changed.
    """
    running = {"running": {"startedAt": "2026-11-24T19:50:00Z"}}
    container = {"name": "triton", "ready": ready, "started": ready, "restartCount": 0, "state": running}
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": ready_since},
    ]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container | dict(state or {})]}
    return {
        "metadata": {"namespace": NAMESPACE, "name": f"minilm-triton-{number}", **fields.pop("metadata", {})},
        "spec": {"nodeName": "node-0", "containers": [{"name": "triton", "image": "triton:1"}]},
        "status": status | fields.pop("status", {}),
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """A container that waits."""
    return {"state": {"waiting": {"reason": reason, "message": message}}}


def ended(code: int = 1, *, reason: str = "Error", log: str = "") -> dict[str, Any]:
    """The record of a container that ended."""
    return {"exitCode": code, "reason": reason, "message": log, "finishedAt": "2026-11-24T19:59:00Z"}


def unscheduled(message: str) -> dict[str, Any]:
    """The status of a pod that has no node."""
    refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return {"phase": "Pending", "conditions": [refused], "containerStatuses": []}


def subnet(*, miners: Sequence[Mapping[str, Any]] = (), committed: int | None = None, **spec: Any) -> Subnet:
    """The Subnet demo/embeddings."""
    status: dict[str, Any] = {"miners": list(miners)}
    if committed is not None:
        digest = "sha256:" + "0" * 64
        status["committed"] = {
            "number": committed,
            "committedAt": NOW_TEXT,
            "inputsDigest": digest,
            "stateDigest": digest,
        }
    return Subnet.parse(
        {
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "Subnet",
            "metadata": {"namespace": "demo", "name": "embeddings", "uid": "subnet-uid", "generation": 1},
            "spec": {"task": {"kind": "Embedding", "model": {"name": "minilm", "version": "1"}}, **spec},
            "status": status,
        }
    )


def row(uid: int = 0, **fields: Any) -> dict[str, Any]:
    """The row of minilm in its subnet's status."""
    return {"uid": uid, "namespace": NAMESPACE, "name": NAME, "objectUid": UID, "registeredEpoch": 1, **fields}


def snapshot(deployment: ModelDeployment | None = None, **fields: Any) -> Snapshot:
    """What a pass sees; nothing but the deployment itself by default."""
    return Snapshot(deployment=deployment or model_deployment(), **({"facts": FACTS} | fields))
