"""How a ModelDeployment serves, judged the same way for its three ways: Triton pods, an endpoint, a Service.

Owns the verdicts that make up Ready, and the children that Triton pods need. Invariants: what cannot be seen is Unknown
and never True; a pod template that is not the wished one is never called ready; an object that is not ours is neither
taken over nor deleted; nothing is applied for a spec that cannot be carried out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from assay.api import Addresses, Endpoint, ModelDeployment, ServiceRef, Subnet, Triton
from assay.desired import triton as desired
from assay.desired.podtemplate import PodTemplateRefused
from assay.planning.conditions import Verdict, no, unknown, yes
from assay.planning.plan import Apply, Delete, Effect
from assay.planning.reasons import DeploymentReason as Reason
from assay.planning.workload import STATES, ModelState, Trouble, condition, is_ready, worst_trouble

NAME_TAKEN_RETRY_S: Final = 2.0

ProbeOutcome = Literal["Ready", "ModelUnavailable", "ModelMismatch", "Unreachable", "ProtocolError", "Refused"]


@dataclass(frozen=True)
class Probe:
    """What asking the server gave. Refused: it was not asked, because its address is not allowed."""

    outcome: ProbeOutcome
    message: str = ""


@dataclass(frozen=True)
class Children:
    """The objects that carry the children's names, whoever they belong to."""

    service_account: Mapping[str, Any] | None = None
    deployment: Mapping[str, Any] | None = None
    service: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Snapshot:
    """All that a pass looks at.

    Attributes:
        deployment: the ModelDeployment.
        facts: what the operator was configured with.
        subnet: the Subnet that `spec.subnetRef` names, if it exists.
        namespace_labels: of the ModelDeployment's namespace.
        children: the live children.
        pods: pods with the children's labels.
        probe: the last answer of an endpoint or a Service; None before the first.
        is_probing: whether the server is being asked right now.
        endpoint_slices: of the Service that `spec.serviceRef` names.
    """

    deployment: ModelDeployment
    facts: desired.Facts
    subnet: Subnet | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    children: Children = Children()
    pods: tuple[Mapping[str, Any], ...] = ()
    probe: Probe | None = None
    is_probing: bool = False
    endpoint_slices: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Serving:
    """The verdicts on one way of serving, and what to do for it."""

    accepted: Verdict
    workload: Verdict
    model: Verdict
    servable: Verdict
    progressing: Verdict
    state: ModelState
    addresses: Addresses | None = None
    trouble: Trouble | None = None
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    effects: tuple[Effect, ...] = ()
    requeue_after_s: float | None = None


def serving(seen: Snapshot) -> Serving:
    """Judge the way the spec chose."""
    spec = seen.deployment.spec
    if spec.triton is not None:
        return _by_triton(seen, spec.triton)
    left_behind = tuple(_deletions(seen))
    if spec.endpoint is not None:
        return _by_endpoint(seen, spec.endpoint, left_behind)
    if spec.service_ref is not None:
        return _by_service(seen, spec.service_ref, left_behind)
    raise ValueError(f"{seen.deployment.subject}: spec: exactly one of triton, endpoint and serviceRef must be set")


# ---- Triton pods


def _by_triton(seen: Snapshot, triton: Triton) -> Serving:
    wished, problems = _wished(seen, triton)
    taken = _taken_names(seen)
    live = None if taken else seen.children.deployment
    rollout = _Rollout.of(seen, live, wished)
    ready = min(sum(is_ready(pod) for pod in seen.pods), _count(live, "readyReplicas"))
    gpu = seen.deployment.spec.gpus
    trouble = worst_trouble(live, seen.pods, gpu.resource if gpu and gpu.count else None) if live is not None else None
    why = _standstill(seen, taken) or _as_verdict(trouble) or rollout.verdict
    return Serving(
        accepted=_accepted(seen, problems),
        workload=_workload(rollout, ready, why),
        model=yes("ModelAvailable", Reason.MODEL_LOADED) if ready else no("ModelAvailable", why.reason, why.message),
        servable=yes("Servable", Reason.SERVING) if ready else no("Servable", why.reason, why.message),
        progressing=rollout.progressing,
        state=_state(ready, trouble),
        addresses=Addresses(**desired.addresses(seen.deployment, seen.facts)),
        trouble=trouble,
        replicas=_count(live, "replicas"),
        ready=ready,
        updated=_count(live, "updatedReplicas") if rollout.is_current else 0,
        effects=() if wished is None or taken else _applies(seen, wished),
        requeue_after_s=NAME_TAKEN_RETRY_S if taken else None,
    )


def _wished(seen: Snapshot, triton: Triton) -> tuple[Mapping[str, Any] | None, tuple[str, ...]]:
    """The Deployment as it should be, or the problems that stand in its way."""
    problems = tuple(desired.refused_arguments(triton))
    image, defaulted = _image(seen, triton)
    try:
        wished = desired.workload(seen.deployment, image=image, defaulted=defaulted)
    except PodTemplateRefused as refused:
        return None, (*problems, *refused.problems)
    return (None, problems) if problems else (wished, ())


def _image(seen: Snapshot, triton: Triton) -> tuple[str, bool]:
    """Triton's image, and whether the operator chose it. Its choice stays with the Deployment it was made for."""
    if triton.image is not None:
        return triton.image, False
    live = seen.children.deployment
    chosen = live["metadata"].get("annotations", {}).get(desired.ANNOTATION_DEFAULT_IMAGE) if live is not None else None
    return chosen or seen.facts.triton_image, True


def _applies(seen: Snapshot, wished: Mapping[str, Any]) -> tuple[Effect, ...]:
    account, service = desired.service_account(seen.deployment), desired.service(seen.deployment)
    return (Apply(account), Apply(service), Apply(wished))


@dataclass(frozen=True)
class _Rollout:
    """How far the wished template has come."""

    replicas: int
    is_current: bool
    is_complete: bool
    is_stuck: bool

    @classmethod
    def of(cls, seen: Snapshot, live: Mapping[str, Any] | None, wished: Mapping[str, Any] | None) -> "_Rollout":
        spec = seen.deployment.spec
        replicas = 0 if spec.suspend else spec.replicas
        if live is None or wished is None:
            return cls(replicas, is_current=False, is_complete=False, is_stuck=False)
        is_current = _runs(live, wished) and _is_observed(live)
        progressing = condition(live, "Progressing") or {}
        total, updated = _count(live, "replicas"), _count(live, "updatedReplicas")
        return cls(
            replicas,
            is_current=is_current,
            is_complete=is_current
            and total == updated == replicas
            and progressing.get("reason") == "NewReplicaSetAvailable",
            is_stuck=is_current and progressing.get("reason") == "ProgressDeadlineExceeded",
        )

    @property
    def verdict(self) -> Verdict:
        if self.is_stuck:
            return no("", Reason.ROLLOUT_STUCK, "the rollout made no progress within its deadline; look at the pods")
        return no("", Reason.REPLICAS_UPDATING, "pods are being created or replaced")

    @property
    def progressing(self) -> Verdict:
        if self.is_complete:
            return no("Progressing", Reason.UP_TO_DATE)
        verdict = self.verdict
        return Verdict("Progressing", "False" if self.is_stuck else "True", verdict.reason, verdict.message)


def _workload(rollout: _Rollout, ready: int, why: Verdict) -> Verdict:
    # `is_current`, not `is_complete`: Kubernetes calls a Deployment progressing until a pod was once available.
    if rollout.is_current and rollout.replicas > 0 and ready >= rollout.replicas and rollout.is_complete:
        return yes("WorkloadReady", Reason.ALL_REPLICAS_READY)
    return no("WorkloadReady", why.reason, why.message)


def _standstill(seen: Snapshot, taken: tuple[str, ...]) -> Verdict | None:
    """Why no pods are meant to run, or can be made, if so."""
    spec = seen.deployment.spec
    if taken:
        return no("", Reason.NAME_TAKEN, f"{'; '.join(taken)}; delete it, or rename this object")
    if spec.suspend:
        return no("", Reason.SUSPENDED, "spec.suspend is true")
    if spec.replicas == 0:
        return no("", Reason.SCALED_TO_ZERO, "spec.replicas is 0")
    return None


def _as_verdict(trouble: Trouble | None) -> Verdict | None:
    return no("", trouble.reason, trouble.message) if trouble is not None else None


def _state(ready: int, trouble: Trouble | None) -> ModelState:
    if ready:
        return "Loaded"
    return STATES.get(trouble.reason, "Pending") if trouble is not None else "Pending"


def _runs(live: Mapping[str, Any], wished: Mapping[str, Any]) -> bool:
    """Whether the live Deployment was applied with the wished template and size."""
    key = desired.ANNOTATION_TEMPLATE
    same_template = live["metadata"].get("annotations", {}).get(key) == wished["metadata"]["annotations"][key]
    return bool(same_template and live["spec"].get("replicas") == wished["spec"]["replicas"])


def _is_observed(live: Mapping[str, Any]) -> bool:
    return bool(live.get("status", {}).get("observedGeneration", 0) >= live["metadata"].get("generation", 0))


def _count(live: Mapping[str, Any] | None, key: str) -> int:
    return int(live.get("status", {}).get(key, 0)) if live is not None else 0


# ---- children that are not ours, or no longer wished


def _named(seen: Snapshot) -> tuple[tuple[str, str, Mapping[str, Any] | None], ...]:
    children = seen.children
    return (
        ("apps/v1", "Deployment", children.deployment),
        ("v1", "Service", children.service),
        ("v1", "ServiceAccount", children.service_account),
    )


def _taken_names(seen: Snapshot) -> tuple[str, ...]:
    name = desired.child_name(seen.deployment.metadata.name)
    return tuple(
        f"{kind} {name} exists and does not belong to this object"
        for _, kind, child in _named(seen)
        if child is not None and not _is_ours(seen, child)
    )


def _deletions(seen: Snapshot) -> list[Effect]:
    """Children of an earlier spec that served by Triton."""
    namespace = seen.deployment.metadata.namespace
    return [
        Delete(api_version, kind, namespace, child["metadata"]["name"], child["metadata"]["uid"])
        for api_version, kind, child in _named(seen)
        if child is not None and _is_ours(seen, child) and "deletionTimestamp" not in child["metadata"]
    ]


def _is_ours(seen: Snapshot, child: Mapping[str, Any]) -> bool:
    owners = child["metadata"].get("ownerReferences", [])
    return any(owner.get("controller") and owner.get("uid") == seen.deployment.metadata.uid for owner in owners)


# ---- servers that somebody else runs


def _by_endpoint(seen: Snapshot, endpoint: Endpoint, effects: tuple[Effect, ...]) -> Serving:
    is_grpc = endpoint.url.startswith("grpc")
    address = Addresses(grpc=endpoint.url) if is_grpc else Addresses(http=endpoint.url)
    return _foreign(seen, yes("WorkloadReady", Reason.EXTERNAL), address, effects)


def _by_service(seen: Snapshot, ref: ServiceRef, effects: tuple[Effect, ...]) -> Serving:
    metadata = seen.deployment.metadata
    host = f"{ref.name}.{metadata.namespace}.svc.{seen.facts.cluster_domain}"
    return _foreign(seen, _adopted(seen, ref), Addresses(grpc=f"grpc://{host}:{ref.port}"), effects)


def _adopted(seen: Snapshot, ref: ServiceRef) -> Verdict:
    """Whether something ready stands behind the Service.

    Told by its EndpointSlices alone: Kubernetes makes one for every Service with a selector, even an empty one, and a
    Service without any cannot be told from none at all.
    """
    if not seen.endpoint_slices:
        said = f"spec.serviceRef.name: there is no Service {ref.name} with endpoints in this namespace"
        return no("WorkloadReady", Reason.SERVICE_NOT_FOUND, said)
    if not any(_has_ready_endpoint(piece) for piece in seen.endpoint_slices):
        return no("WorkloadReady", Reason.NO_ENDPOINTS, f"Service {ref.name} has no ready endpoint")
    return yes("WorkloadReady", Reason.EXTERNAL)


def _has_ready_endpoint(piece: Mapping[str, Any]) -> bool:
    # An absent `ready` is to be taken for true, as EndpointSlice says.
    return any(endpoint.get("conditions", {}).get("ready", True) for endpoint in piece.get("endpoints") or [])


def _foreign(seen: Snapshot, workload: Verdict, address: Addresses, effects: tuple[Effect, ...]) -> Serving:
    model = _asked(seen)
    servable = yes("Servable", Reason.SERVING) if model.holds else _as("Servable", model)
    if seen.deployment.spec.suspend:
        servable = no("Servable", Reason.SUSPENDED, "spec.suspend is true")
    elif not workload.holds:
        servable = _as("Servable", workload)
    return Serving(
        accepted=_accepted(seen, _address_problems(seen)),
        workload=workload,
        model=model,
        servable=servable,
        progressing=no("Progressing", Reason.UP_TO_DATE),
        state="Loaded" if model.holds else "Unknown",
        addresses=address,
        trouble=Trouble(Reason(model.reason), model.message) if model.status == "False" else None,
        replicas=1,
        ready=1 if servable.holds else 0,
        updated=1,
        effects=effects,
    )


def _asked(seen: Snapshot) -> Verdict:
    probe = seen.probe
    if probe is None:
        return unknown("ModelAvailable", Reason.PROBE_PENDING, "the server has not been asked yet")
    match probe.outcome:
        case "Ready":
            return yes("ModelAvailable", Reason.MODEL_LOADED)
        case "Refused":
            return unknown("ModelAvailable", Reason.INVALID_SPEC, "the server is not asked; see Accepted")
        case outcome:
            return no("ModelAvailable", Reason(outcome), f"{probe.message}{_without_secrets(seen)}")


def _without_secrets(seen: Snapshot) -> str:
    """What to know of a failed question where the server may want to know who asks."""
    endpoint = seen.deployment.spec.endpoint
    if endpoint is None or (endpoint.token_secret_ref is None and endpoint.ca_secret_ref is None):
        return ""
    return "; it was asked without tokenSecretRef and caSecretRef, because the operator reads no Secrets of tenants"


def _address_problems(seen: Snapshot) -> tuple[str, ...]:
    if seen.probe is None or seen.probe.outcome != "Refused":
        return ()
    field_path = "endpoint.url" if seen.deployment.spec.endpoint is not None else "serviceRef"
    return (f"spec.{field_path}: {seen.probe.message}",)


def _accepted(seen: Snapshot, problems: tuple[str, ...]) -> Verdict:
    if problems:
        return no("Accepted", Reason.INVALID_SPEC, f"{seen.deployment.subject}: {'; '.join(problems)}")
    return yes("Accepted", Reason.ACCEPTED)


def _as(type_: str, verdict: Verdict) -> Verdict:
    return Verdict(type_, verdict.status, verdict.reason, verdict.message)
