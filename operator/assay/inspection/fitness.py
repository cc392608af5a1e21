"""Whether a cluster is fit for assay: what is asked of it, and the verdict on the answers.

Owns the list of what is needed (versions, kinds, rights, policies, lease, GPUs, image volumes) and the words of each
finding with its remedy. Must never ask the cluster itself: the answers come as `Facts`. A fact that could not be read
is told as such and never taken for good.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import yaml

from assay.api import GROUP, KINDS, VERSION
from assay.api.crd import render

OLDEST_SERVER: Final = (1, 34)
"""Of the chart's kubeVersion."""
IMAGE_VOLUMES_SINCE: Final = (1, 35)
"""The release from which image volumes are on by default."""
POLICIES: Final = ("envelope", "metadata", "scorereports", "status")
GPU_SUFFIX: Final = "/gpu"
RawObject = Mapping[str, Any]


class Mark(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One sentence about the cluster, and what to do if it is not as it should be."""

    check: str
    mark: Mark
    message: str
    remedy: str = ""


@dataclass(frozen=True, order=True)
class Right:
    """One use of the API: the verb, the resource with its group, and where."""

    group: str
    resource: str
    verb: str
    name: str = ""
    own_namespace: bool = False
    """Needed in the operator's namespace only."""

    def __str__(self) -> str:
        plural = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{self.verb} {plural}{f' {self.name}' if self.name else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """As `resourceAttributes` of an access review; `namespace` is the operator's."""
        plural, _, subresource = self.resource.partition("/")
        wanted = {
            "group": self.group,
            "resource": plural,
            "subresource": subresource,
            "verb": self.verb,
            "name": self.name,
            "namespace": namespace if self.own_namespace else "",
        }
        return {key: value for key, value in wanted.items() if value}


def _rights(group: str, resources: str, verbs: str, **more: Any) -> tuple[Right, ...]:  # noqa: ANN401
    return tuple(Right(group, resource, verb, **more) for resource in resources.split() for verb in verbs.split())


OPERATOR_RIGHTS: Final[tuple[Right, ...]] = (
    *_rights(GROUP, "subnets modeldeployments validatorpolicies scorereports", "list watch"),
    *_rights(GROUP, "scorereports", "delete"),
    *_rights(GROUP, "subnets/status modeldeployments/status validatorpolicies/status", "patch"),
    *_rights(GROUP, "subnets/finalizers modeldeployments/finalizers validatorpolicies/finalizers", "update"),
    *_rights("", "namespaces pods", "list watch"),
    *_rights("discovery.k8s.io", "endpointslices", "list watch"),
    *_rights("", "configmaps", "list watch create delete"),
    *_rights("batch", "jobs", "list watch create delete"),
    *_rights("apps", "deployments", "list watch create patch delete"),
    *_rights("", "services serviceaccounts", "list watch create patch delete"),
    *_rights("rbac.authorization.k8s.io", "rolebindings", "list watch create patch"),
    *_rights("rbac.authorization.k8s.io", "clusterroles", "bind", name="assay-scorer"),
    *_rights("events.k8s.io", "events", "create patch"),
    *_rights("coordination.k8s.io", "leases", "get update", name="assay-operator", own_namespace=True),
    *_rights("coordination.k8s.io", "leases", "create", own_namespace=True),
    *_rights("", "secrets", "get", name="assay-challenge-seed", own_namespace=True),
    *_rights("", "secrets", "create", own_namespace=True),
)
"""What the chart grants the operator; a test compares the two."""

USER_RIGHTS: Final[tuple[Right, ...]] = (
    *_rights(GROUP, "subnets modeldeployments validatorpolicies scorereports", "get list"),
    *_rights("", "configmaps", "list"),
)
"""What `status`, `explain`, `replay` and `what-if` read."""


@dataclass(frozen=True)
class Unread:
    """A fact that could not be had, in the API server's words."""

    why: str


@dataclass(frozen=True)
class Review:
    """What the API server said about somebody's rights: those of `asked` that are denied."""

    subject: str
    asked: int
    denied: Sequence[Right] | Unread
    remedy: str


@dataclass(frozen=True)
class Facts:
    """What was read of a cluster; each may be `Unread`.

    Attributes:
        server: the answer of /version.
        crds: CustomResourceDefinitions of assay's group by plural.
        reviews: whose rights were asked for, and which of them are lacking.
        policies: names of ValidatingAdmissionPolicies; `bindings` the policies that a binding puts into force.
        lease: the operator's lease.
        nodes: all nodes.
    """

    server: RawObject | Unread
    crds: Mapping[str, RawObject] | Unread
    reviews: Sequence[Review]
    policies: Sequence[str] | Unread
    bindings: Sequence[str] | Unread
    lease: RawObject | Unread | None
    nodes: Sequence[RawObject] | Unread
    namespace: str = "assay-system"
    release: str = "assay"


def findings(facts: Facts, now: datetime) -> tuple[Finding, ...]:
    """The verdict on every check, in the order in which to repair."""
    return (
        *_server(facts),
        *_crds(facts),
        *_denied(facts),
        *_policies(facts),
        *_lease(facts, now),
        *_gpus(facts),
        *_image_volumes(facts),
    )


def is_fit(found: Iterable[Finding]) -> bool:
    """Whether nothing failed; warnings and what is only informative do not count."""
    return all(one.mark is not Mark.FAILED for one in found)


def _server(facts: Facts) -> Iterable[Finding]:
    if isinstance(facts.server, Unread):
        yield _unread("server", facts.server)
        return
    version, named = server_version(facts.server), facts.server.get("gitVersion", "unknown")
    if version >= OLDEST_SERVER:
        yield Finding("server", Mark.OK, f"Kubernetes {named}")
    else:
        oldest = ".".join(map(str, OLDEST_SERVER))
        yield Finding("server", Mark.FAILED, f"Kubernetes {named} is older than {oldest}", "upgrade the cluster")


def server_version(answer: RawObject) -> tuple[int, int]:
    """(major, minor) of /version's answer; vendors append signs to the minor. (0, 0) if it has none."""
    numbers = []
    for part in ("major", "minor"):
        digits = "".join(sign for sign in str(answer.get(part, "")) if sign.isdecimal())
        numbers.append(int(digits or 0))
    return numbers[0], numbers[1]


def _crds(facts: Facts) -> Iterable[Finding]:
    if isinstance(facts.crds, Unread):
        yield _unread("kinds", facts.crds)
        return
    for kind in KINDS:
        plural = kind.DEFINITION.plural
        yield _crd(plural, facts.crds.get(plural), yaml.safe_load(render(kind)))


def _crd(plural: str, installed: RawObject | None, rendered: RawObject) -> Finding:
    subject = f"{plural}.{GROUP}"
    remedy = "helm upgrade the chart of this version; CRDs are among its templates"
    if installed is None:
        return Finding("kinds", Mark.FAILED, f"CustomResourceDefinition {subject} is missing", remedy)
    conditions = installed.get("status", {}).get("conditions") or ()
    if not any(one.get("type") == "Established" and one.get("status") == "True" for one in conditions):
        return Finding("kinds", Mark.FAILED, f"{subject} is not established", f"kubectl describe crd {subject}")
    served = _version_of(installed)
    if served is None or not served.get("served"):
        return Finding("kinds", Mark.FAILED, f"{subject} does not serve {VERSION}", remedy)
    if _without_words(served.get("schema")) != _without_words((_version_of(rendered) or {}).get("schema")):
        return Finding("kinds", Mark.FAILED, f"{subject} has another schema than this version of assay", remedy)
    return Finding("kinds", Mark.OK, f"{subject} serves {VERSION} with the schema of this version")


def _version_of(crd: RawObject) -> RawObject | None:
    return next((one for one in crd["spec"]["versions"] if one["name"] == VERSION), None)


def _without_words(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Without descriptions: they tell, and decide nothing. A property of that name is an object, not a string."""
    if isinstance(schema, Mapping):
        return {
            key: _without_words(value)
            for key, value in schema.items()
            if key != "description" or not isinstance(value, str)
        }
    return [_without_words(item) for item in schema] if isinstance(schema, list) else schema


def _denied(facts: Facts) -> Iterable[Finding]:
    for review in facts.reviews:
        if isinstance(review.denied, Unread):
            yield _unread("rights", Unread(f"{review.subject}: {review.denied.why}"))
        elif not review.denied:
            told = f"{review.subject}: all {review.asked} that are needed"
            yield Finding("rights", Mark.OK, told)
        else:
            lacking = ", ".join(str(right) for right in sorted(review.denied))
            yield Finding("rights", Mark.FAILED, f"{review.subject}: lacking {lacking}", review.remedy)


def _policies(facts: Facts) -> Iterable[Finding]:
    if isinstance(facts.policies, Unread):
        yield _unread("policies", facts.policies)
        return
    if isinstance(facts.bindings, Unread):
        yield _unread("policies", facts.bindings)
        return
    needed = [f"{facts.release}-{name}" for name in POLICIES]
    absent = [name for name in needed if name not in facts.policies]
    idle = [name for name in needed if name in facts.policies and name not in facts.bindings]
    remedy = "install the chart with admissionPolicies.enabled: without them whoever may write objects can pay himself"
    if absent:
        yield Finding("policies", Mark.FAILED, f"admission policies are missing: {', '.join(absent)}", remedy)
    if idle:
        yield Finding("policies", Mark.FAILED, f"admission policies have no binding: {', '.join(idle)}", remedy)
    if not absent and not idle:
        yield Finding("policies", Mark.OK, f"{len(needed)} admission policies are in force")


def _lease(facts: Facts, now: datetime) -> Iterable[Finding]:
    where = f"Lease {facts.namespace}/assay-operator"
    if isinstance(facts.lease, Unread):
        yield _unread("operator", facts.lease)
        return
    remedy = f"see whether the operator runs: kubectl --namespace {facts.namespace} get pods"
    spec = (facts.lease or {}).get("spec") or {}
    if facts.lease is None:
        yield Finding("operator", Mark.FAILED, f"{where} does not exist", remedy)
    elif not spec.get("holderIdentity") or not spec.get("renewTime"):
        yield Finding("operator", Mark.FAILED, f"{where} has no holder: no operator leads", remedy)
    else:
        age_s = (now - datetime.fromisoformat(spec["renewTime"])) / timedelta(seconds=1)
        term_s = int(spec.get("leaseDurationSeconds") or 15)
        told = f"{spec['holderIdentity']} leads, renewed {max(0.0, age_s):.0f} s ago"
        if age_s <= term_s:
            yield Finding("operator", Mark.OK, told)
        else:
            yield Finding("operator", Mark.FAILED, f"{where} is stale: {told}, its term is {term_s} s", remedy)


def _gpus(facts: Facts) -> Iterable[Finding]:
    if isinstance(facts.nodes, Unread):
        yield _unread("gpu", facts.nodes)
        return
    counts: dict[str, int] = {}
    for node in facts.nodes:
        for resource, quantity in (node.get("status", {}).get("allocatable") or {}).items():
            if resource.endswith(GPU_SUFFIX) and str(quantity).isdecimal():
                counts[resource] = counts.get(resource, 0) + int(quantity)
    told = ", ".join(f"{count} {resource}" for resource, count in sorted(counts.items()) if count)
    yield Finding(
        "gpu", Mark.INFO, told or "no node offers a GPU: miners with gpus.count 0, or elsewhere, work all the same"
    )


def _image_volumes(facts: Facts) -> Iterable[Finding]:
    if isinstance(facts.server, Unread):
        return
    if server_version(facts.server) >= IMAGE_VOLUMES_SINCE:
        runtimes: set[str] = set()
        if not isinstance(facts.nodes, Unread):
            runtimes = {
                node.get("status", {}).get("nodeInfo", {}).get("containerRuntimeVersion", "") for node in facts.nodes
            } - {""}
        beside = f"; runtimes: {', '.join(sorted(runtimes))}" if runtimes else ""
        yield Finding("image volumes", Mark.OK, f"on by default in this server{beside}")
    else:
        yield Finding(
            "image volumes",
            Mark.WARNING,
            "off by default before 1.35: models from images (source.image) need the feature gate ImageVolume",
            "turn the gate on, upgrade, or take models from a claim or a ConfigMap",
        )


def _unread(check: str, unread: Unread) -> Finding:
    return Finding(check, Mark.WARNING, f"cannot tell: {unread.why}", "run it as someone who may read this")
