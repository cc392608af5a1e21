"""What other stakes and parameters would do to the recorded epoch, and which changes are refused."""

import pytest

from assay.api import InvalidObject
from assay.inspection.market import NotFoundIn
from assay.inspection.what_if import CannotSet, WhatIf, what_if
from recorded_demo import market, without


def changed(outcome: WhatIf, field: str) -> dict[str, tuple[int, int]]:
    return {one.member: (one.before, one.after) for one in outcome.changes if one.field == field}


def test_the_values_that_hold_change_nothing_and_give_the_committed_rows() -> None:
    outcome = what_if(market(), ["consensus.kappa=32767", "validators.val-a.stake=1000"])
    assert outcome.changes == ()
    assert outcome.faithful
    assert outcome.bonds


def test_a_lazy_validator_with_most_of_the_stake_would_pay_every_cheat() -> None:
    outcome = what_if(market(), ["validators.lazy.stake=5000"])
    assert changed(outcome, "stake") == {"val-lazy/lazy": (1000, 5000)}
    before, after = changed(outcome, "incentive")["miner-noise/noise"]
    assert before == 0
    assert after > 0


def test_a_validator_without_stake_loses_permit_and_dividends() -> None:
    outcome = what_if(market(), ["validators.val-lazy/lazy.stake=0"])
    assert changed(outcome, "permit") == {"val-lazy/lazy": (True, False)}
    assert changed(outcome, "dividends")["val-lazy/lazy"][1] == 0


def test_another_emission_is_paid_in_full() -> None:
    outcome = what_if(market(), ["emission.perEpoch=1000", "emission.ownerCut=0"])
    assert sum(after for _, after in changed(outcome, "emission").values()) == 1000


def test_other_bonds_parameters_move_dividends_and_no_miner() -> None:
    outcome = what_if(market(), ["consensus.bondsMovingAverage=0"])
    assert {one.field for one in outcome.changes} <= {"dividends", "emission"}
    assert all(one.member.startswith("val-") for one in outcome.changes)


def test_without_the_bonds_before_it_says_so() -> None:
    assert not what_if(market(without("bonds", epoch=41)), ["consensus.kappa=1"]).bonds


@pytest.mark.parametrize(
    ("setting", "kind", "words"),
    [
        ("consensus.kappaa=3", CannotSet, "consensus has no field kappaa; it has activityCutoffEpochs"),
        ("consensus.liquidAlpha=3", CannotSet, "name one of its fields: consensus.liquidAlpha.consensusSource"),
        ("consensus.kappa", CannotSet, "write KEY=VALUE"),
        ("kappa=1", CannotSet, "write KEY=VALUE"),
        ("members.maxMiners=1", CannotSet, "members is none of validators, consensus, emission"),
        ("consensus.kappa=", CannotSet, "is no value"),
        ("validators.val-a=1", CannotSet, "only the stake can be set"),
        ("validators.val-a.permit=true", CannotSet, "only the stake can be set"),
        ("validators.nobody.stake=1", NotFoundIn, "no validator nobody"),
        ("consensus.kappa=70000", InvalidObject, "spec.consensus.kappa: 70000 > 65535"),
        ("consensus.kappa=x", InvalidObject, "spec.consensus.kappa"),
        ("validators.val-a.stake=-1", InvalidObject, "stake: -1 < 0"),
        ("consensus.kappa.x=1", CannotSet, "consensus.kappa has no field x; it has none"),
    ],
)
def test_a_change_that_cannot_be_is_refused_in_words(setting: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as refusal:
        what_if(market(), [setting])
    assert words in str(refusal.value)
