"""The watch caches by plural, and how a change in one finds the objects that have to be looked at again.

A change is mapped from its old and its new form: whoever lost a child has to hear of it as much as who gained one.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from assay.desired.names import LABEL_KIND, LABEL_NAME
from assay.kube.resources import Key, Object
from assay.kube.store import Store, by_labels

Stores = Mapping[str, Store]
Enqueue = Callable[[str, Key], None]
"""Ask for (kind, key) to be reconciled."""

FIELD_MANAGER = "assay"

LABEL_SERVICE = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service it belongs to."""

BY_OWNER = "owner"
"""Children by (kind, name) of their owner, within all namespaces."""
BY_SUBNET = "subnet"
"""ModelDeployments, ValidatorPolicies and ScoreReports by (namespace, name) of the subnet they name."""
BY_POLICY = "policy"
"""Subnets by (namespace, name) of the ValidatorPolicies they list; ScoreReports by that of their validator."""
BY_REFERENCE = "reference"
"""ValidatorPolicies by (namespace, name) of the ModelDeployment they compare with."""

BY_SERVICE = "service"
"""ModelDeployments by (namespace, name) of the Service they adopt; EndpointSlices by that of their Service."""

CHILDREN = (
    "configmaps",
    "deployments",
    "jobs",
    "pods",
    "rolebindings",
    "serviceaccounts",
    "services",
)
"""What assay makes, watched by its label `app.kubernetes.io/managed-by`."""


def make_stores() -> dict[str, Store]:
    """Empty stores for everything the controllers read."""
    own = {
        "subnets": Store(indexers={BY_POLICY: listed_policies}),
        "modeldeployments": Store(indexers={BY_SUBNET: named_subnet, BY_SERVICE: adopted_service}),
        "validatorpolicies": Store(indexers={BY_SUBNET: named_subnet, BY_REFERENCE: named_reference}),
        "scorereports": Store(indexers={BY_SUBNET: reported_subnet, BY_POLICY: reporting_policy}),
        "namespaces": Store(),
        "endpointslices": Store(indexers={BY_SERVICE: served_service}),
    }
    children = {
        plural: Store(manager=FIELD_MANAGER, indexers={BY_OWNER: by_labels(LABEL_KIND, LABEL_NAME)})
        for plural in CHILDREN
    }
    return own | children


def owned(store: Store, kind: str, key: Key) -> Iterator[Object]:
    """The children of an owner, in its namespace."""
    namespace, name = key
    return (
        child for child in store.by_index(BY_OWNER, (kind, name)) if child["metadata"].get("namespace") == namespace
    )


def connect(stores: Stores, enqueue: Enqueue) -> None:
    """Let every change enqueue whom it concerns."""
    for plural in CHILDREN:
        stores[plural].subscribe(_both(lambda child: _to_owner(child, enqueue)))
    stores["subnets"].subscribe(_both(lambda subnet: _from_subnet(subnet, stores, enqueue)))
    stores["modeldeployments"].subscribe(_both(lambda obj: _from_deployment(obj, stores, enqueue)))
    stores["validatorpolicies"].subscribe(_both(lambda obj: _from_policy(obj, stores, enqueue)))
    stores["scorereports"].subscribe(_both(lambda obj: _from_report(obj, enqueue)))
    stores["endpointslices"].subscribe(_both(lambda obj: _from_endpoints(obj, stores, enqueue)))
    stores["namespaces"].subscribe(_both(lambda obj: _from_namespace(obj, stores, enqueue)))


def _both(concern: Callable[[Object], None]) -> Callable[[Object | None, Object | None], None]:
    def on_change(old: Object | None, new: Object | None) -> None:
        for obj in (old, new):
            if obj is not None:
                concern(obj)

    return on_change


def _to_owner(child: Object, enqueue: Enqueue) -> None:
    labels = child["metadata"].get("labels") or {}
    kind, name = labels.get(LABEL_KIND), labels.get(LABEL_NAME)
    if kind and name:
        enqueue(kind, (child["metadata"].get("namespace", ""), name))


def _from_subnet(subnet: Object, stores: Stores, enqueue: Enqueue) -> None:
    key = _key(subnet)
    enqueue("Subnet", key)
    for deployment in stores["modeldeployments"].by_index(BY_SUBNET, key):
        enqueue("ModelDeployment", _key(deployment))
    for policy in stores["validatorpolicies"].by_index(BY_SUBNET, key):
        enqueue("ValidatorPolicy", _key(policy))


def _from_deployment(deployment: Object, stores: Stores, enqueue: Enqueue) -> None:
    key = _key(deployment)
    enqueue("ModelDeployment", key)
    _enqueue_all("Subnet", named_subnet(deployment), enqueue)
    for policy in stores["validatorpolicies"].by_index(BY_REFERENCE, key):
        enqueue("ValidatorPolicy", _key(policy))


def _from_policy(policy: Object, stores: Stores, enqueue: Enqueue) -> None:
    key = _key(policy)
    enqueue("ValidatorPolicy", key)
    _enqueue_all("Subnet", named_subnet(policy), enqueue)
    for subnet in stores["subnets"].by_index(BY_POLICY, key):
        enqueue("Subnet", _key(subnet))


def _from_report(report: Object, enqueue: Enqueue) -> None:
    _enqueue_all("Subnet", reported_subnet(report), enqueue)
    _enqueue_all("ValidatorPolicy", reporting_policy(report), enqueue)


def _from_endpoints(piece: Object, stores: Stores, enqueue: Enqueue) -> None:
    for service in served_service(piece):
        for deployment in stores["modeldeployments"].by_index(BY_SERVICE, service):
            enqueue("ModelDeployment", _key(deployment))


def _from_namespace(namespace: Object, stores: Stores, enqueue: Enqueue) -> None:
    """Labels of a namespace decide which subnets its deployments may join."""
    for deployment in stores["modeldeployments"].items():
        if deployment["metadata"].get("namespace") == namespace["metadata"]["name"]:
            _from_deployment(deployment, stores, enqueue)


def _enqueue_all(kind: str, keys: Iterable[Hashable], enqueue: Enqueue) -> None:
    for key in keys:
        if isinstance(key, tuple):
            enqueue(kind, key)


def listed_policies(subnet: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the policies that a Subnet lists."""
    refs = (_dig(entry, "policyRef") for entry in _dig(subnet, "spec", "validators") or ())
    return [(ref["namespace"], ref["name"]) for ref in refs if _is_ref(ref, "namespace", "name")]


def named_subnet(obj: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the subnet that an object's `spec.subnetRef` names."""
    ref = _dig(obj, "spec", "subnetRef")
    return [(ref.get("namespace") or obj["metadata"]["namespace"], ref["name"])] if _is_ref(ref, "name") else []


def named_reference(policy: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the ModelDeployment that a policy compares with."""
    ref = _dig(policy, "spec", "reference", "modelDeploymentRef")
    return [(policy["metadata"]["namespace"], ref["name"])] if _is_ref(ref, "name") else []


def adopted_service(deployment: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the Service that a ModelDeployment adopts."""
    ref = _dig(deployment, "spec", "serviceRef")
    return [(deployment["metadata"]["namespace"], ref["name"])] if _is_ref(ref, "name") else []


def served_service(piece: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the Service that an EndpointSlice is of."""
    service = (piece["metadata"].get("labels") or {}).get(LABEL_SERVICE)
    return [(piece["metadata"]["namespace"], service)] if service else []


def reported_subnet(report: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the subnet that a report is for."""
    ref = _dig(report, "spec", "subnet")
    return [(ref["namespace"], ref["name"])] if _is_ref(ref, "namespace", "name") else []


def reporting_policy(report: Mapping[str, Any]) -> Iterable[Hashable]:
    """(namespace, name) of the policy that a report is by."""
    ref = _dig(report, "spec", "validator")
    return [(report["metadata"]["namespace"], ref["name"])] if _is_ref(ref, "name") else []


def _dig(obj: object, *path: str) -> Any:  # noqa: ANN401 - whatever a tenant wrote there
    """What stands at a path, or None: an index must not raise, whatever an object looks like."""
    for name in path:
        if not isinstance(obj, Mapping):
            return None
        obj = obj.get(name)
    return obj


def _is_ref(ref: object, *names: str) -> bool:
    return isinstance(ref, Mapping) and all(isinstance(ref.get(name), str) for name in names)


def _key(obj: Object) -> Key:
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
