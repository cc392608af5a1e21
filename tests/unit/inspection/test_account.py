"""Why a miner earns what it earns, from the recorded demo: the honest, the slow, the cheats, the lazy validator."""

from collections.abc import Callable

import pytest

from assay.inspection.account import account, why
from assay.inspection.market import NotFoundIn
from recorded_demo import Objects, market, without


@pytest.mark.parametrize(
    ("miner", "words"),
    [
        ("honest-0", "answers are right and fast"),
        ("slow", "answers are right but slow, 1826 ms and more"),
        ("noise", "answers are wrong, say 3 of 4 validators"),
        ("quantised", "answers are wrong, say 3 of 4 validators"),
        ("down", "does not answer, say 3 of 4 validators"),
    ],
)
def test_each_kind_of_miner_has_its_reason(miner: str, words: str) -> None:
    seen = market()
    assert why(seen, seen.miner(miner)) == words


def test_an_account_has_every_validators_numbers_and_what_became_of_them() -> None:
    told = account(market(), "miner-slow/slow")
    assert (told.uid, told.epoch, told.miner) == (7, 42, "miner-slow/slow")
    by_name = {one.validator: one for one in told.opinions}
    first = by_name["val-a/val-a"]
    assert (first.weight, first.quality_ppm, first.samples, first.failures) == (39_944, 1_000_000, 8, 0)
    assert (first.latency_p50_us, first.active_stake) == (1_826_484, "25.00 %")
    assert (first.share, first.counted) == ("16.89 %", "16.88 %")
    assert "over the target of 400 ms" in first.note
    assert "asked nothing" in by_name["val-lazy/lazy"].note


def test_the_sentences_tell_consensus_clip_and_incentive() -> None:
    told = " ".join(account(market(), "7").sentences)
    assert "Its consensus weight is 16.88 %" in told
    assert "val-a/val-a gives it 16.89 %, cut to 16.88 %" in told
    assert "Its incentive is 18.04 % of what miners earn: 73975850 units for epoch 42." in told


def test_a_change_since_the_commit_is_told() -> None:
    def other(raw: Objects) -> None:
        raw["subnet"]["spec"]["consensus"]["kappa"] = 1

    told = " ".join(account(market(other), "noise").sentences)
    assert "not the committed" in told
    assert "changed since" in told


def failed(raw: Objects) -> None:
    raw["subnet"]["status"]["validators"][0]["lastReportEpoch"] = 41
    report = next(one for one in raw["scorereports"] if one["metadata"]["name"].startswith("val-a-42-"))
    report["spec"]["scores"] = []
    report["spec"]["failure"] = {"reason": "ReferenceUnavailable", "message": "it was away"}


def failed_for_good(raw: Objects) -> None:
    failed(raw)
    without("scorereports", epoch=41, name="val-a")(raw)


def rejected(raw: Objects) -> None:
    failed_for_good(raw)
    raw["subnet"]["status"]["rejectedReports"] = [
        {"epoch": 42, "validator": "val-a/val-a", "reason": "EpochClosed", "message": "too late"}
    ]


def stakeless(raw: Objects) -> None:
    raw["subnet"]["status"]["validators"][0] |= {"stake": 0, "permit": False}


def new(raw: Objects) -> None:
    for row in raw["subnet"]["status"]["miners"]:
        row["registeredEpoch"] = 43


@pytest.mark.parametrize(
    ("change", "note"),
    [
        pytest.param(failed, "its last vote, of epoch 41", id="a validator without a report keeps its last vote"),
        pytest.param(failed_for_good, "could not score: ReferenceUnavailable", id="a validator that could not score"),
        pytest.param(rejected, "was rejected: EpochClosed: too late", id="a report that was rejected"),
        pytest.param(without("scorereports", epoch=42, name="val-a"), "no longer in the cluster", id="a report gone"),
        pytest.param(stakeless, "no stake", id="a validator without stake"),
    ],
)
def test_a_vote_that_is_not_of_this_epoch_says_why(change: Callable[[Objects], None], note: str) -> None:
    told = account(market(change), "slow")
    assert note in next(one for one in told.opinions if one.validator == "val-a/val-a").note


def test_a_newcomer_is_told_when_its_turn_comes() -> None:
    assert "epoch 43 is the first that scores it" in account(market(new), "slow").sentences[0]


@pytest.mark.parametrize("name", ["nobody", "miner-slow/", "99"])
def test_an_unknown_miner_is_refused_with_those_there_are(name: str) -> None:
    with pytest.raises(NotFoundIn, match=f"no miner {name}; there are: miner-honest-0/honest-0"):
        account(market(), name)


def test_a_name_of_several_miners_is_refused() -> None:
    def namesakes(raw: Objects) -> None:
        for row in raw["subnet"]["status"]["miners"][:2]:
            row["name"] = "same"

    with pytest.raises(NotFoundIn, match="several miners; write one of miner-honest-0/same, miner-honest-1/same"):
        account(market(namesakes), "same")
