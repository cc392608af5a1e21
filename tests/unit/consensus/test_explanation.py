"""The explanation gives a reason for every vote that does not count, and its numbers are the epoch's."""

from typing import Any

import pytest

from assay.consensus import EpochState, trace_epoch
from assay.consensus.explanation import explain, percent
from assay.consensus.numbers import HALF, ONE
from yuma_support.states import base_state, random_state


def _told(uid: int, **changes: Any) -> str:
    state = base_state(
        5,
        **{
            "stake": [60, 30, 10, 0, 0],
            "validator_permits": [True, True, True, False, False],
            "weights_u16": [[[3, 65535], [4, 65535]], [[3, 65535]], [[4, 65535]], [], []],
            "rao_emission": 1000,
            **changes,
        },
    )
    return "\n".join(explain(EpochState.from_json(state), uid).sentences)


def test_a_miner_is_told_who_gives_it_what_and_what_is_cut() -> None:
    told = _told(3)
    assert "Validator 0 (60.00 % of the active stake) gives it 50.00 % of its weight." in told
    assert "Validator 1 (30.00 % of the active stake) gives it 100.00 % of its weight, cut to 50.00 %." in told
    assert "The consensus is 50.00 %: validators with 90.00 % of the active stake give at least that much" in told
    assert "Of 1000 units it is paid 281 as a miner and 0 as a validator, 281 in all." in told


def test_a_validator_is_told_its_trust_its_bonds_and_its_dividends() -> None:
    told = _told(1)
    assert "It is an active validator with 30.00 % of the active stake." in told
    assert "50.00 % of its own weight is within the consensus (trust)." in told
    assert "of the bonds to miner 3, who has" in told
    assert "Its share of what validators earn is" in told


REASONS = {
    "no permit": ({"validator_permits": [False, True, True, False, False]}, "validator 0 has no permit"),
    "outdated": ({"block_at_registration": [0, 0, 0, 9_995, 0]}, "set in block 9990, not after uid 3 was registered"),
    "committed before": (
        {
            "commit_reveal_on": True,
            "commit_blocks": [10, None, None, None, None],
            "block_at_registration": [0, 0, 0, 20, 0],
        },
        "committed in block 10, before uid 3 was registered in block 20",
    ),
    "oneself": ({"weights_u16": [[], [], [], [[3, 1]], []], "validator_permits": [True] * 5}, "a vote for oneself"),
    "nobody votes": ({"weights_u16": [[], [], [], [], []]}, "No validator has a weight for it"),
    "nobody has a vote": (
        {"weights_u16": [[], [], [], [], []]},
        "everything is paid by active stake, as to validators",
    ),
    "no consensus": (
        {"weights_u16": [[[4, 1]], [[4, 1]], [[3, 1]], [], []]},
        "The consensus is 0.00 %: validators with 10.00 %",
    ),
}


@pytest.mark.parametrize(("changes", "reason"), REASONS.values(), ids=REASONS)
def test_a_vote_that_does_not_count_has_its_reason(changes: dict[str, Any], reason: str) -> None:
    assert reason in _told(3, **changes)


STANDINGS = {
    "below the threshold": ({"stake_threshold": 50}, 1, "That is below the threshold of 50, so it counts as none."),
    "the owner": ({"owner_uid": 2}, 2, "It is the subnet owner"),
    "inactive": ({"last_update": [9_990, 1, 9_990, 0, 0]}, 1, "has not set weights for more than 5000 blocks"),
    "a permit lost": ({"max_allowed_validators": 2}, 2, "From the next epoch on it has no validator permit."),
    "a permit won": ({"stake": [0, 0, 0, 9, 0]}, 3, "From the next epoch on it has a validator permit."),
    "bonds without stake": (
        {"stake": [60, 30, 0, 0, 0], "bonds_u16": [[], [], [[3, 9]], [], []]},
        2,
        "Without active stake its bonds earn nothing.",
    ),
}


@pytest.mark.parametrize(("changes", "uid", "sentence"), STANDINGS.values(), ids=STANDINGS)
def test_a_uid_is_told_how_it_stands(changes: dict[str, Any], uid: int, sentence: str) -> None:
    assert sentence in _told(uid, **changes)


def test_votes_that_count_add_up_to_the_rank_in_any_state() -> None:
    for seed in range(300):
        state = EpochState.from_json(random_state(seed))
        trace = trace_epoch(state)
        for uid in range(state.n):
            votes = explain(state, uid).votes
            counted = sum(vote.counted_raw for vote in votes)
            assert counted == int(trace.clipped_weights[:, uid].sum())
            for vote in votes:
                assert vote.dropped is None or vote.counted_raw == vote.weight_raw == 0


def test_a_uid_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="uid 5: the state has uids 0 to 4"):
        _told(5)


def test_percentages_are_rounded_half_up() -> None:
    assert [percent(raw) for raw in (0, HALF, ONE, ONE // 3, ONE // 20000 + 1)] == [
        "0.00 %",
        "50.00 %",
        "100.00 %",
        "33.33 %",
        "0.01 %",
    ]
