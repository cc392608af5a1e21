"""Series of the market come with their objects and go with them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from assay.telemetry.market import (
    ConditionReading,
    MarketMetrics,
    MinerReading,
    SubnetReading,
    ValidatorReading,
    coalitions,
)

HALF = 32_767
MINERS = (MinerReading(0, "m0", "a", 65_535, 32_768, 1.0), MinerReading(1, "m1", "b", 0, 0, None))
VALIDATORS = (
    ValidatorReading("v0", "x", 65_535, 65_535, stake=30),
    ValidatorReading("v1", "y", HALF, 0, stake=10, silent_epochs=2, voted=False),
)


def reading(name: str = "s", **changes: object) -> SubnetReading:
    fields: dict[str, object] = {
        "namespace": "n",
        "name": name,
        "committed_epoch": 7,
        "open_epoch": 8,
        "epoch_length_s": 300.0,
        "suspended": False,
        "miners_ready": 1,
        "epoch_ends_at": 1_000.0,
        "committed_at": 700.0,
        "reports_expected": 2,
        "reports_received": 1,
        "reports_rejected": 1,
        "miners": MINERS,
        "validators": VALIDATORS,
    }
    return SubnetReading(**(fields | changes))  # type: ignore[arg-type]


class Shown:
    """What a scrape would show of the market."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.market = MarketMetrics(self.registry)

    def series(self, name: str = "") -> dict[tuple[str, ...], float]:
        """Values by the sorted values of the labels; of one metric, or of all under their names."""
        return {
            (*(() if name else (sample.name,)), *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == name or (not name and not sample.name.endswith("_created"))
        }


@pytest.fixture
def shown() -> Shown:
    return Shown()


def test_a_subnet_shows_its_clock_members_and_reports(shown: Shown) -> None:
    shown.market.report_subnet(reading())
    values = {name: value for (name, *labels), value in shown.series().items() if labels == ["n", "s"]}
    assert values.pop("assay_epochs_committed_total") == 0
    assert {name.removeprefix("assay_subnet_"): value for name, value in values.items()} == {
        "epoch": 7,
        "open_epoch": 8,
        "epoch_length_seconds": 300,
        "epoch_end_timestamp_seconds": 1_000,
        "committed_timestamp_seconds": 700,
        "suspended": 0,
        "miners": 2,
        "miners_ready": 1,
        "validators": 2,
        "reports_expected": 2,
        "reports_received": 1,
        "reports_rejected": 1,
    }


def test_what_has_not_happened_yet_has_no_series(shown: Shown) -> None:
    shown.market.report_subnet(reading(epoch_ends_at=None, committed_at=None))
    names = {name for name, *_ in shown.series()}
    assert not {"assay_subnet_epoch_end_timestamp_seconds", "assay_subnet_committed_timestamp_seconds"} & names


def test_shares_are_ratios_of_the_whole(shown: Shown) -> None:
    shown.market.report_subnet(reading())
    assert shown.series("assay_miner_weight_ratio") == {
        ("a", "m0", "n", "s", "0"): 1.0,
        ("b", "m1", "n", "s", "1"): 0.0,
    }
    assert shown.series("assay_validator_stake_ratio") == {("n", "s", "x", "v0"): 0.75, ("n", "s", "y", "v1"): 0.25}
    assert shown.series("assay_validator_silent_epochs")["n", "s", "y", "v1"] == 2


def test_a_score_that_nobody_measured_is_absent_and_not_zero(shown: Shown) -> None:
    shown.market.report_subnet(reading())
    assert shown.series("assay_miner_score_ratio") == {("a", "m0", "n", "s", "0"): 1.0}


def test_who_left_the_subnet_is_shown_no_more(shown: Shown) -> None:
    shown.market.report_subnet(reading())
    shown.market.report_subnet(reading(miners=MINERS[:1], validators=()))
    assert list(shown.series("assay_miner_weight_ratio")) == [("a", "m0", "n", "s", "0")]
    assert not shown.series("assay_validator_trust_ratio")
    assert not shown.series("assay_subnet_coalition_stake_ratio")


def test_a_deleted_subnet_takes_every_series_along_and_no_other_subnets(shown: Shown) -> None:
    def everything(name: str) -> None:
        shown.market.report_subnet(reading(name), ["NoStake", "NoPermit"])
        shown.market.epoch_committed("n", name, 3.5)
        shown.market.report_rejected("n", name, "NoStake")
        shown.market.report_filed(("n", name), 2.0)

    everything("other")
    before = shown.series()
    everything("s")
    shown.market.forget_subnet("n", "s")
    assert shown.series() == before


def test_every_reason_counts_from_zero(shown: Shown) -> None:
    shown.market.report_subnet(reading(), ["NoStake", "NoPermit"])
    shown.market.report_rejected("n", "s", "NoStake")
    assert shown.series("assay_reports_rejected_total") == {("n", "NoPermit", "s"): 0.0, ("n", "NoStake", "s"): 1.0}


def test_a_report_for_a_subnet_that_is_not_there_leaves_no_series(shown: Shown) -> None:
    shown.market.report_filed(("n", "ghost"), 2.0)
    shown.market.report_filed("nonsense", 2.0)
    assert not shown.series()


def test_a_condition_has_one_series_whatever_reasons_it_had(shown: Shown) -> None:
    for reason in ("ModelLoading", "CrashLoop", "ModelLoading"):
        shown.market.report_conditions("ModelDeployment", "n", "m", [ConditionReading("Ready", "False", reason)])
    assert shown.series("assay_condition") == {("ModelDeployment", "m", "n", "ModelLoading", "False", "Ready"): 1.0}
    shown.market.report_conditions("ModelDeployment", "n", "m", [])
    assert not shown.series("assay_condition")


def test_cleared_metrics_show_nothing(shown: Shown) -> None:
    shown.market.report_subnet(reading(), ["NoStake"])
    shown.market.report_conditions("Subnet", "n", "s", [ConditionReading("Ready", "True", "SubnetReady")])
    shown.market.epoch_committed("n", "s", 1.0)
    shown.market.clear()
    assert not shown.series()


V = ValidatorReading
COALITIONS = {
    "without stake there is none": ([V("a", "x", 0, 0)], {}),
    "one validator is its own": ([V("a", "x", 65_535, 0, stake=5)], {"namespace": 1.0, "dissent": 0.0}),
    "validators of one namespace act as one": (
        [V("a", "x", 65_535, 0, stake=1), V("a", "y", 65_535, 0, stake=1), V("b", "z", 65_535, 0, stake=2)],
        {"namespace": 0.5, "dissent": 0.0},
    ),
    "those below half the trust dissent together": (
        [V("a", "x", 65_535, 0, stake=2), V("b", "y", HALF - 1, 0, stake=1), V("c", "z", 0, 0, stake=1)],
        {"namespace": 0.5, "dissent": 0.5},
    ),
    "half the trust, as the chain rounds it, is no dissent": (
        [V("a", "x", HALF, 0, stake=1), V("b", "y", 65_535, 0, stake=1)],
        {"namespace": 0.5, "dissent": 0.0},
    ),
    "who is silent does not dissent": (
        [V("a", "x", 0, 0, stake=1, voted=False), V("b", "y", 65_535, 0, stake=1)],
        {"namespace": 0.5, "dissent": 0.0},
    ),
}


@pytest.mark.parametrize(("validators", "expected"), COALITIONS.values(), ids=COALITIONS.keys())
def test_coalitions(validators: list[ValidatorReading], expected: dict[str, float]) -> None:
    assert coalitions(validators) == expected


def test_series_stay_as_many_as_there_are_objects_however_many_there_were(shown: Shown) -> None:
    def generation(number: int) -> SubnetReading:
        miners = tuple(MinerReading(uid, "m", f"gen-{number}-{uid}", 1, 1, 0.5) for uid in range(5))
        validators = (ValidatorReading("v", f"gen-{number}", 1, 1, stake=1),)
        return reading(miners=miners, validators=validators)

    shown.market.report_subnet(generation(0))
    shown.market.report_conditions("ModelDeployment", "m", "a", [ConditionReading("Ready", "False", "r-0")])
    before = len(shown.series())
    for number in range(1, 200):
        shown.market.report_subnet(generation(number))
        shown.market.report_conditions("ModelDeployment", "m", "a", [ConditionReading("Ready", "False", f"r-{number}")])
        assert len(shown.series()) == before
