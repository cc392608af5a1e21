"""What `assay doctor` concludes from what it was told, and that it asks for just the rights that the chart grants."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from assay.api import KINDS
from assay.api.crd import render
from assay.inspection.fitness import (
    OPERATOR_RIGHTS,
    Facts,
    Mark,
    Review,
    Right,
    Unread,
    findings,
    is_fit,
    server_version,
)
from cluster import ROOT

NOW = datetime(2026, 11, 24, 21, 0, 10, tzinfo=UTC)
ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}
NAMES = [f"assay-{name}" for name in ("envelope", "metadata", "scorereports", "status")]
NODE = {
    "status": {"allocatable": {"nvidia.com/gpu": "2"}, "nodeInfo": {"containerRuntimeVersion": "containerd://2.4.2"}}
}
LEASE = {"spec": {"holderIdentity": "one", "renewTime": "2026-11-24T21:00:08.5Z", "leaseDurationSeconds": 6}}


def crds() -> dict[str, Any]:
    return {kind.DEFINITION.plural: {**yaml.safe_load(render(kind)), "status": ESTABLISHED} for kind in KINDS}


FIT = Facts(
    server={"major": "1", "minor": "37+", "gitVersion": "v1.37.2"},
    crds=crds(),
    reviews=(Review("your rights", 9, [], "ask"),),
    policies=NAMES,
    bindings=NAMES,
    lease=LEASE,
    nodes=[NODE],
)


def marks(facts: Facts, check: str) -> set[Mark]:
    return {one.mark for one in findings(facts, NOW) if one.check == check}


def test_a_cluster_that_has_everything_is_fit() -> None:
    found = findings(FIT, NOW)
    assert {one.mark for one in found} == {Mark.OK, Mark.INFO}
    assert is_fit(found)
    assert any("2 nvidia.com/gpu" in one.message for one in found)


def without_served() -> dict[str, Any]:
    changed = crds()
    changed["subnets"]["spec"]["versions"][0]["served"] = False
    return changed


def with_other_schema() -> dict[str, Any]:
    changed = crds()
    schema = changed["subnets"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["spec"]["properties"]["suspend"]["type"] = "string"
    return changed


def with_other_words() -> dict[str, Any]:
    changed = crds()
    changed["subnets"]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "in other words"
    return changed


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        ({"server": {"major": "1", "minor": "33"}}, "server", "is older than 1.34"),
        ({"crds": {}}, "kinds", "subnets.assay.dev is missing"),
        ({"crds": without_served()}, "kinds", "does not serve v1alpha1"),
        ({"crds": with_other_schema()}, "kinds", "has another schema"),
        ({"crds": {**crds(), "subnets": yaml.safe_load(render(KINDS[0]))}}, "kinds", "is not established"),
        (
            {"reviews": (Review("x", 1, [Right("apps", "deployments", "patch")], "y"),)},
            "rights",
            "patch deployments.apps",
        ),
        ({"policies": NAMES[1:]}, "policies", "missing: assay-envelope"),
        ({"bindings": NAMES[:3]}, "policies", "no binding: assay-status"),
        ({"lease": None}, "operator", "does not exist"),
        ({"lease": {"spec": {}}}, "operator", "no operator leads"),
        ({"lease": {"spec": {**LEASE["spec"], "renewTime": "2026-11-24T20:59:10Z"}}}, "operator", "renewed 60 s ago"),
    ],
)
def test_what_is_lacking_fails_with_a_remedy(change: dict[str, Any], check: str, words: str) -> None:
    found = findings(replace(FIT, **change), NOW)
    failed = [one for one in found if one.mark is Mark.FAILED]
    assert {one.check for one in failed} == {check}
    assert any(words in one.message for one in failed), failed
    assert all(one.remedy for one in failed)
    assert not is_fit(found)


def test_other_descriptions_are_the_same_schema() -> None:
    assert is_fit(findings(replace(FIT, crds=with_other_words()), NOW))


@pytest.mark.parametrize("fact", ["crds", "policies", "bindings", "lease", "nodes"])
def test_what_may_not_be_read_is_a_warning_and_never_ok(fact: str) -> None:
    found = findings(replace(FIT, **{fact: Unread("403 Forbidden: no")}), NOW)
    assert [one.message for one in found if one.mark is Mark.WARNING] == ["cannot tell: 403 Forbidden: no"]


def test_rights_that_may_not_be_asked_for_are_a_warning_that_says_whose() -> None:
    found = findings(replace(FIT, reviews=(Review("rights of it", 1, Unread("403"), "ask"),)), NOW)
    assert [one.message for one in found if one.mark is Mark.WARNING] == ["cannot tell: rights of it: 403"]


def test_image_volumes_need_a_gate_before_they_are_on_by_default() -> None:
    assert marks(replace(FIT, server={"major": "1", "minor": "34"}), "image volumes") == {Mark.WARNING}


def test_no_gpu_is_no_failure() -> None:
    assert marks(replace(FIT, nodes=[{}]), "gpu") == {Mark.INFO}


@pytest.mark.parametrize(
    ("answer", "version"),
    [({"major": "1", "minor": "34+"}, (1, 34)), ({"major": "1", "minor": "9-gke"}, (1, 9)), ({}, (0, 0))],
)
def test_the_server_version_is_read_with_vendors_signs(answer: dict[str, str], version: tuple[int, int]) -> None:
    assert server_version(answer) == version


def test_the_rights_asked_for_are_those_of_the_chart() -> None:
    text = (ROOT / "charts/assay/templates/rbac-operator.yaml").read_text(encoding="utf-8")
    plain = re.sub(r"{{-? /\*.*?\*/ -?}}", "", text, flags=re.DOTALL)
    plain = "\n".join(line for line in plain.splitlines() if not re.fullmatch(r"\s*{{-.*}}\s*", line))
    documents = yaml.safe_load_all(re.sub(r"{{.*?}}", "x", plain))
    granted = {
        (group, resource, verb, name, document["kind"] == "Role")
        for document in documents
        for rule in document.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames", [""])
    }
    asked = {(one.group, one.resource, one.verb, one.name, one.own_namespace) for one in OPERATOR_RIGHTS}
    assert asked == granted
