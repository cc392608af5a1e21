"""Which objects a change makes the controllers look at."""

from typing import Any

import pytest

from assay.controllers.stores import connect, make_stores

Key = tuple[str, str]


def obj(name: str, namespace: str, *, labels: dict[str, str] | None = None, **fields: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "labels": labels or {},
    }
    return {"apiVersion": "v1", "kind": "Any", "metadata": metadata, **fields}


def at_version(one: dict[str, Any], version: str) -> dict[str, Any]:
    return {**one, "metadata": {**one["metadata"], "resourceVersion": version}}


SUBNET_REF = {"subnetRef": {"namespace": "demo", "name": "net"}}
MINER = obj("miner", "m", spec=SUBNET_REF)
ADOPTER = obj("adopter", "m", spec={"serviceRef": {"name": "nim", "port": 8001}})
VALIDATOR = obj("val", "v", spec={**SUBNET_REF, "reference": {"modelDeploymentRef": {"name": "replica"}}})
SUBNET = obj("net", "demo", spec={"validators": [{"policyRef": {"namespace": "v", "name": "val"}, "stake": 1}]})
CHILD = {"assay.dev/kind": "ValidatorPolicy", "assay.dev/name": "val"}
REPORT = {"subnet": {"namespace": "demo", "name": "net", "uid": "u"}, "validator": {"name": "val", "uid": "u"}}

NET, MIN, VAL = ("Subnet", ("demo", "net")), ("ModelDeployment", ("m", "miner")), ("ValidatorPolicy", ("v", "val"))

ROWS: dict[str, tuple[str, dict[str, Any], set[tuple[str, Key]]]] = {
    "a Subnet concerns itself, its miners and the validators that name it": ("subnets", SUBNET, {NET, MIN, VAL}),
    "a miner concerns itself and its subnet": ("modeldeployments", MINER, {MIN, NET}),
    "a replica concerns itself and the validator that compares with it": (
        "modeldeployments",
        obj("replica", "v", spec={}),
        {("ModelDeployment", ("v", "replica")), VAL},
    ),
    "a validator concerns itself and the subnets that list it or that it names": (
        "validatorpolicies",
        VALIDATOR,
        {VAL, NET},
    ),
    "a report concerns its subnet and its validator": ("scorereports", obj("r", "v", spec=REPORT), {NET, VAL}),
    "a child concerns its owner": ("jobs", obj("j", "v", labels=CHILD), {VAL}),
    "a child without our labels concerns nobody": ("jobs", obj("j", "v"), set()),
    "labels of a namespace concern its miners and their subnets": (
        "namespaces",
        {**obj("m", ""), "metadata": {"name": "m", "uid": "n", "resourceVersion": "1"}},
        {MIN, NET, ("ModelDeployment", ("m", "adopter"))},
    ),
    "endpoints of an adopted Service concern who adopts it": (
        "endpointslices",
        obj("nim-1", "m", labels={"kubernetes.io/service-name": "nim"}),
        {("ModelDeployment", ("m", "adopter"))},
    ),
    "endpoints of any other Service concern nobody": (
        "endpointslices",
        obj("x-1", "m", labels={"kubernetes.io/service-name": "x"}),
        set(),
    ),
    "a spec of nonsense concerns only itself": (
        "modeldeployments",
        obj("odd", "m", spec={"subnetRef": ["no", "map"], "serviceRef": 7}),
        {("ModelDeployment", ("m", "odd"))},
    ),
}


@pytest.mark.parametrize(("plural", "changed", "concerned"), ROWS.values(), ids=ROWS.keys())
@pytest.mark.parametrize("is_gone", [False, True], ids=["appears", "vanishes"])
def test_whom_a_change_concerns(
    plural: str, changed: dict[str, Any], concerned: set[tuple[str, Key]], is_gone: bool
) -> None:
    stores = make_stores()
    standing = {"subnets": [SUBNET], "modeldeployments": [MINER, ADOPTER], "validatorpolicies": [VALIDATOR]}
    for kind, objects in standing.items():
        stores[kind].replace([one for one in objects if one is not changed], "1")
    if is_gone:
        stores[plural].apply_event("ADDED", at_version(changed, "2"))
    told: set[tuple[str, Key]] = set()
    connect(stores, lambda kind, key: told.add((kind, key)))
    stores[plural].apply_event("DELETED" if is_gone else "ADDED", at_version(changed, "3"))
    assert told == concerned


def test_who_lost_a_child_hears_of_it_as_much_as_who_gained_it() -> None:
    stores = make_stores()
    told: set[tuple[str, Key]] = set()
    stores["jobs"].apply_event("ADDED", obj("j", "v", labels=CHILD))
    connect(stores, lambda kind, key: told.add((kind, key)))
    moved = obj("j", "v", labels={**CHILD, "assay.dev/name": "other"})
    stores["jobs"].apply_event("MODIFIED", at_version(moved, "2"))
    assert told == {VAL, ("ValidatorPolicy", ("v", "other"))}
