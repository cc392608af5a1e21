"""The installation guide: its manifests are what the API takes, its commands name what the chart makes."""

from __future__ import annotations

import re
from typing import Any

import yaml

from assay.api import KINDS
from helm import ROOT, template

GUIDE = (ROOT / "docs" / "guide" / "install.md").read_text()


def manifests() -> list[dict[str, Any]]:
    blocks = re.findall(r"^```yaml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
    return [document for block in blocks for document in yaml.safe_load_all(block)]


def test_every_object_of_ours_is_one_the_models_accept() -> None:
    kinds = {kind.DEFINITION.kind: kind for kind in KINDS}
    ours = [o for o in manifests() if o["apiVersion"] == "assay.dev/v1alpha1"]
    assert {o["kind"] for o in ours} == set(kinds) - {"ScoreReport"}
    for o in ours:
        kinds[o["kind"]].parse(o)


def test_every_reference_of_the_first_subnet_leads_somewhere() -> None:
    names = {(o["kind"], o["metadata"]["name"]) for o in manifests()}
    for o in manifests():
        spec = o.get("spec", {})
        for validator in spec.get("validators", []):
            assert ("ValidatorPolicy", validator["policyRef"]["name"]) in names
        if "subnetRef" in spec:
            assert ("Subnet", spec["subnetRef"]["name"]) in names
        if "triton" in spec:
            assert ("ConfigMap", spec["triton"]["source"]["configMap"]["name"]) in names
        if "reference" in spec:
            assert ("ModelDeployment", spec["reference"]["modelDeploymentRef"]["name"]) in names


def test_named_objects_of_the_chart_exist() -> None:
    rendered = {(o["kind"], o["metadata"]["name"]) for o in template()}
    for kind, name in re.findall(r"ClusterRole `([a-z-]+)`|policy `([a-z-]+)`", GUIDE):
        assert ("ClusterRole", kind) in rendered or ("ValidatingAdmissionPolicy", name) in rendered


def test_removal_names_every_crd() -> None:
    crds = {o["metadata"]["name"] for o in template() if o["kind"] == "CustomResourceDefinition"}
    line = next(line for line in GUIDE.splitlines() if line.startswith("kubectl delete crd"))
    assert set(line.split()[3:]) == crds
