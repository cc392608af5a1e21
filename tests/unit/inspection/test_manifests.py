"""Manifests judged offline: sound ones pass, and every problem of the others is named."""

from pathlib import Path

import pytest

from assay.inspection.manifests import judge_text
from cluster import ROOT

SUBNET = """
apiVersion: assay.dev/v1alpha1
kind: Subnet
metadata: {name: embeddings, namespace: demo}
spec:
  task: {kind: Embedding, model: {name: minilm, version: "1"}}
"""


@pytest.mark.parametrize("path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name)
def test_the_examples_are_sound(path: Path) -> None:
    assert judge_text(path.read_text(encoding="utf-8")).problems == ()


def test_objects_of_others_are_counted_and_left_alone() -> None:
    judged = judge_text(SUBNET + "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: demo}\n")
    assert (judged.sound, judged.others, judged.problems) == (1, 1, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "no object in it", id="an empty file"),
        pytest.param("{", "not YAML", id="what is no YAML"),
        pytest.param("- a", "document 1: list is no object", id="a document that is no object"),
        pytest.param("kind: Subnet", "apiVersion and kind are required", id="an object without apiVersion"),
        pytest.param(SUBNET.replace("v1alpha1", "v1"), "no kind of assay", id="another version"),
        pytest.param(SUBNET.replace("kind: Subnet", "kind: Net"), "no kind of assay", id="another kind"),
        pytest.param(SUBNET.replace("  task", "  taks"), "spec.taks: is unknown; did you mean task?", id="a slip"),
        pytest.param(SUBNET.replace("  task", "  taks"), "spec.task: is required; add it", id="and what it leaves out"),
        pytest.param(SUBNET.replace("name: minilm", "name: minilm, x: 1"), "spec.task.model.x: is unknown", id="deep"),
        pytest.param(SUBNET + "  suspend: 'no'\n", "spec.suspend", id="a wrong type"),
        pytest.param(
            SUBNET + "  validators: [{policyRef: {namespace: a, name: b}, stake: 1, steak: 2}]\n",
            "spec.validators[0].steak: is unknown; did you mean stake?",
            id="inside a list",
        ),
    ],
)
def test_a_problem_is_named(text: str, words: str) -> None:
    assert any(words in problem for problem in judge_text(text).problems), judge_text(text).problems


def test_items_of_a_list_are_judged_one_by_one() -> None:
    item = SUBNET.replace("\n", "\n    ").replace("\n    apiVersion", "\n  - apiVersion", 1)
    judged = judge_text(f"apiVersion: v1\nkind: List\nitems:{item}\n  - 3\n")
    assert judged.sound == 1
    assert judged.problems == ("document 1 items[1]: int is no object; write apiVersion, kind, metadata and spec",)
