"""References and selectors: where they point, and what they select."""

import pytest

from assay.api import LabelSelector, LabelSelectorRequirement, NamespacedName, ObjectRef

PRODUCTION = {"tier": "production", "team": "a"}


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        pytest.param(LabelSelector(), {}, True, id="an empty selector selects everything"),
        pytest.param(LabelSelector(match_labels={"team": "a"}), PRODUCTION, True, id="the label is there"),
        pytest.param(LabelSelector(match_labels={"team": "b"}), PRODUCTION, False, id="the label has another value"),
        pytest.param(
            LabelSelector(match_labels={"team": "a", "zone": "1"}), PRODUCTION, False, id="one of two is missing"
        ),
    ],
)
def test_labels_select(selector: LabelSelector, labels: dict[str, str], selected: bool) -> None:
    assert selector.matches(labels) is selected


@pytest.mark.parametrize(
    ("operator", "values", "labels", "met"),
    [
        ("In", ("production", "test"), PRODUCTION, True),
        ("In", ("test",), PRODUCTION, False),
        ("In", ("test",), {}, False),
        ("NotIn", ("test",), PRODUCTION, True),
        ("NotIn", ("production",), PRODUCTION, False),
        ("NotIn", ("production",), {}, True),
        ("Exists", (), PRODUCTION, True),
        ("Exists", (), {}, False),
        ("DoesNotExist", (), PRODUCTION, False),
        ("DoesNotExist", (), {}, True),
    ],
)
def test_requirements_are_met(operator: str, values: tuple[str, ...], labels: dict[str, str], met: bool) -> None:
    requirement = LabelSelectorRequirement.model_validate({"key": "tier", "operator": operator, "values": values})
    assert requirement.matches(labels) is met
    assert LabelSelector(match_expressions=(requirement,)).matches(labels) is met


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        (ObjectRef(name="embeddings"), NamespacedName("miners", "embeddings")),
        (ObjectRef(namespace="demo", name="embeddings"), NamespacedName("demo", "embeddings")),
    ],
)
def test_a_reference_without_namespace_stays_at_home(reference: ObjectRef, target: NamespacedName) -> None:
    assert reference.resolve("miners") == target
