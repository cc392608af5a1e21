"""The chart's CRDs are those of crds/: rendered by a generator, and compared after Helm has had its hands on them."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType
from typing import Any

import pytest
import yaml

from helm import ROOT, template


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("render_chart_crds", ROOT / "hack" / "render_chart_crds.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


generator = load_generator()


def crd(**metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.assay.dev", **metadata},
        "spec": {"group": "assay.dev"},
    }


def test_the_chart_holds_what_the_generator_renders() -> None:
    rendered = generator.render_all()
    assert len(rendered) == 4
    assert generator.differences(rendered) == [], "run `python hack/render_chart_crds.py`"


def test_helm_gives_back_the_same_crds() -> None:
    source = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "crds").glob("*.yaml"))]
    from_helm = {o["metadata"]["name"]: o for o in template() if o["kind"] == "CustomResourceDefinition"}
    assert from_helm.keys() == {o["metadata"]["name"] for o in source}
    for original in source:
        assert from_helm[original["metadata"]["name"]]["spec"] == original["spec"]


def test_each_crd_is_small_enough_for_client_side_apply() -> None:
    for name, text in generator.render_all().items():
        assert len(text.encode()) < 250_000, f"{name}: annotations end at 256 KiB"


def test_text_that_looks_like_a_template_action_survives() -> None:
    text = generator.render("things.yaml", {**crd(), "spec": {"description": "use {{ .name }} or {{{x}}}"}})
    assert "{{`{{`}} .name }}" in text
    assert text.count("{{`{{`}}") == 2


def test_annotations_of_the_crd_itself_are_kept() -> None:
    text = generator.render("things.yaml", crd(annotations={"own": "yes"}))
    assert text.count("  annotations:\n") == 1
    assert "    own: 'yes'\n" in text


REFUSED = {
    "another kind": ({"kind": "Deployment"}, "expected one CustomResourceDefinition"),
    "not an object": ("text", "expected one CustomResourceDefinition"),
    "metadata that would be lost": (crd(labels={"a": "b"}), "metadata.labels"),
}


@pytest.mark.parametrize(("source", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(source: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        generator.render("things.yaml", source)
    assert "crds/things.yaml" in str(refusal.value)


def test_differences_name_missing_surplus_and_changed_files(tmp_path: Any) -> None:
    (tmp_path / "same.yaml").write_text("same")
    (tmp_path / "changed.yaml").write_text("old")
    (tmp_path / "surplus.yaml").write_text("x")
    found = generator.differences({"same.yaml": "same", "changed.yaml": "new", "missing.yaml": "x"}, tmp_path)
    assert found == [
        "missing.yaml: missing in the chart",
        "surplus.yaml: in the chart, but not in crds/",
        "changed.yaml: differs from crds/",
    ]
