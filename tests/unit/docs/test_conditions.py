"""The page on conditions is rendered from the code, and the code has words for every reason that it can give."""

import importlib.util
from enum import StrEnum
from types import ModuleType

import pytest

from assay.planning import reasons, reports, subnet_conditions, validator_conditions
from assay.planning.conditions import refused
from cluster import ROOT
from market import NOON, World

TEXTS = [
    pytest.param(reasons.DeploymentReason, reasons, id="ModelDeployment"),
    pytest.param(subnet_conditions.SubnetReason, subnet_conditions, id="Subnet"),
    pytest.param(validator_conditions.ValidatorReason, validator_conditions, id="ValidatorPolicy"),
    pytest.param(reports.Rejection, reports, id="rejected report"),
]


def generator(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "hack" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["generate_conditions_reference", "generate_adr_index"])
def test_the_page_is_what_its_generator_writes(name: str) -> None:
    module = generator(name)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), f"run `python hack/{name}.py`"


@pytest.mark.parametrize(("enum", "module"), TEXTS)
def test_every_reason_has_a_meaning_and_remedies_are_for_known_reasons(enum: type[StrEnum], module: ModuleType) -> None:
    assert set(module.MEANINGS) == set(enum)
    assert set(module.REMEDIES) <= set(enum)


@pytest.mark.parametrize(("enum", "module"), TEXTS)
def test_texts_are_sentences_of_one_line(enum: type[StrEnum], module: ModuleType) -> None:
    for text in (*module.MEANINGS.values(), *module.REMEDIES.values()):
        assert text.endswith(".")
        assert "\n" not in text


@pytest.mark.parametrize(("enum", "module"), TEXTS[:3])
def test_reasons_that_the_common_loop_gives_belong_to_every_kind(enum: type[StrEnum], module: ModuleType) -> None:
    for reason in ("InvalidSpec", "Refused"):
        told = refused((), reason, "why", generation=1, now=NOON)
        assert {condition.reason for condition in told} <= {str(member) for member in enum}


def test_the_conditions_are_those_that_planners_write_in_their_order() -> None:
    world = World.of()
    world.settle()
    assert [one.type for one in world.subnet.status.conditions] == list(subnet_conditions.CONDITIONS)
    for policy in world.policies.values():
        assert [one.type for one in policy.status.conditions] == list(validator_conditions.CONDITIONS)
