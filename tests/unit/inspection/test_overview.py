"""The glance: order, clock, and what is said of members."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from assay.inspection.overview import overview
from recorded_demo import Objects, market

AFTER_COMMIT = datetime(2026, 11, 24, 21, 34, 0, tzinfo=UTC)


def test_miners_are_sorted_by_incentive_and_validators_by_dividends() -> None:
    seen = overview(market(), AFTER_COMMIT)
    assert [row.incentive for row in seen.miners] == sorted((row.incentive for row in seen.miners), reverse=True)
    assert [row.dividends for row in seen.validators] == sorted(
        (row.dividends for row in seen.validators), reverse=True
    )
    assert [row.miner for row in seen.miners if not row.ready] == ["miner-down/down"]
    assert seen.ready
    assert {one.type for one in seen.conditions} >= {"Ready", "ConsensusFresh"}


def reopened(raw: Objects) -> None:
    raw["subnet"]["status"]["epoch"] |= {"number": 43, "phase": "Scoring"}


def suspended(raw: Objects) -> None:
    raw["subnet"]["spec"]["suspend"] = True


def unborn(raw: Objects) -> None:
    for key in ("epoch", "committed"):
        raw["subnet"]["status"].pop(key)


@pytest.mark.parametrize(
    ("change", "second", "words"),
    [
        (None, 0, "epoch 42 is committed; the next opens in 16 s"),
        (None, 20, "epoch 42 is committed; the next is due since 4 s"),
        (reopened, 0, "epoch 43 is scoring: reports are taken for 6 s more"),
        (reopened, 10, "epoch 43 is scoring: the commit is due since 4 s"),
        (suspended, 0, "epoch 42 is committed; suspended: no other opens (spec.suspend)"),
        (unborn, 0, "no epoch has opened yet"),
    ],
)
def test_the_clock_in_words(change: Callable[[Objects], None] | None, second: int, words: str) -> None:
    assert overview(market(change), AFTER_COMMIT.replace(second=second)).clock.words == words


def test_a_member_whose_object_is_gone_is_shown_as_unknown() -> None:
    def gone(raw: Objects) -> None:
        raw["modeldeployments"], raw["validatorpolicies"] = [], []

    seen = overview(market(gone), AFTER_COMMIT)
    assert {row.ready for row in seen.miners} == {None}
    assert {row.why for row in seen.validators} == {"its ValidatorPolicy says nothing"}
