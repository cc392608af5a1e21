"""What a state may be: a malformed one is refused with the key and the index of the fault, a sound one runs."""

import copy
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.consensus import (
    ConsensusSource,
    EpochState,
    Hyperparameters,
    InvalidState,
    activity_cutoff_blocks,
    run_epoch,
)
from yuma_support.states import base_state, generated_state, random_state

SOUND = base_state(
    3,
    stake=[10, 20, 0],
    validator_permits=[True, True, False],
    weights_u16=[[[2, 65535]], [[0, 7], [2, 65535]], []],
    bonds_u16=[[[2, 9]], [], []],
)


def _with(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    state = copy.deepcopy(SOUND)
    place: Any = state
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return state


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in SOUND.items() if name != key}


MALFORMED = {
    "no object at all": ([1, 2], "a state is a JSON object, not list"),
    "nothing": (None, "a state is a JSON object, not NoneType"),
    "an unknown key": (SOUND | {"kapa_u16": 1}, "kapa_u16: unknown key; known are activity_cutoff_blocks, "),
    "a missing key": (_without("stake"), "stake: missing"),
    "a missing hyperparameter": (_without("kappa_u16"), "kappa_u16: missing"),
    "n is negative": (_with(("n",), -1), "n: -1 < 0"),
    "n is beyond what a row sum can hold": (_with(("n",), 32769), "n: 32769 > 32768"),
    "n is a bool": (_with(("n",), True), "n: true is not a whole number"),
    "a vector is too short": (_with(("stake",), [1, 2]), "stake: has 2 entries, n is 3: entry 2 is missing"),
    "a vector is too long": (
        _with(("last_update",), [1] * 4),
        "last_update: has 4 entries, n is 3: entry 3 is one too many",
    ),
    "permits are too short": (
        _with(("validator_permits",), [True]),
        "validator_permits: has 1 entries, n is 3: entry 1",
    ),
    "rows are too few": (_with(("weights_u16",), [[], []]), "weights_u16: has 2 entries, n is 3: entry 2 is missing"),
    "a vector is no list": (_with(("stake",), {"0": 1}), 'stake: {"0": 1} is not a list'),
    "rows are no list": (_with(("bonds_u16",), 5), "bonds_u16: 5 is not a list"),
    "commit blocks are no list": (_with(("commit_blocks",), 5), "commit_blocks: 5 is not a list"),
    "a negative stake": (_with(("stake", 1), -1), "stake[1]: -1 < 0"),
    "a stake beyond I64F64": (_with(("stake", 2), 2**63), "stake[2]: 9223372036854775808 > 9223372036854775807"),
    "a stake of NaN": (_with(("stake", 0), math.nan), "stake[0]: NaN is not a whole number"),
    "a fractional stake": (_with(("stake", 0), 1.5), "stake[0]: 1.5 is not a whole number"),
    "a float that is whole": (_with(("stake", 0), 10.0), "stake[0]: 10.0 is not a whole number"),
    "a stake in quotes": (_with(("stake", 0), "10"), 'stake[0]: "10" is not a whole number'),
    "a stake of true": (_with(("stake", 0), True), "stake[0]: true is not a whole number"),
    "a stake of null": (_with(("stake", 0), None), "stake[0]: null is not a whole number"),
    "a stake of thousands of digits": (_with(("stake", 0), 10**5000), "stake[0]: a number of 16610 bits > "),
    "a permit of 1": (_with(("validator_permits", 1), 1), "validator_permits[1]: 1 is not true or false"),
    "a block beyond u64": (_with(("last_update", 1), 2**64), "last_update[1]: 18446744073709551616 > "),
    "a negative commit block": (_with(("commit_blocks", 1), -5), "commit_blocks[1]: -5 < 0"),
    "a weight above u16": (_with(("weights_u16", 1, 1, 1), 65536), "weights_u16[1][1][1]: 65536 > 65535"),
    "a negative weight": (_with(("weights_u16", 1, 0, 1), -1), "weights_u16[1][0][1]: -1 < 0"),
    "a weight of NaN": (_with(("weights_u16", 0, 0, 1), math.nan), "weights_u16[0][0][1]: NaN is not a whole number"),
    "an infinite weight": (
        _with(("weights_u16", 0, 0, 1), math.inf),
        "weights_u16[0][0][1]: Infinity is not a whole number",
    ),
    "a weight of true": (_with(("weights_u16", 0, 0, 1), True), "weights_u16[0][0][1]: true is not a whole number"),
    "a weight for nobody": (_with(("weights_u16", 1, 1, 0), 3), "weights_u16[1][1][0]: 3 > 2"),
    "a weight for a negative uid": (_with(("weights_u16", 1, 1, 0), -1), "weights_u16[1][1][0]: -1 < 0"),
    "a uid twice in a row": (
        _with(("weights_u16", 1, 1, 0), 0),
        "weights_u16[1][1]: uid 0 is there twice, first at [1][0]",
    ),
    "an entry that is no pair": (
        _with(("weights_u16", 1, 1), [2]),
        "weights_u16[1][1]: [2] is not a pair [uid, value]",
    ),
    "an entry that is a number": (_with(("weights_u16", 1, 1), 2), "weights_u16[1][1]: 2 is not a pair [uid, value]"),
    "a row that is no list": (_with(("weights_u16", 1), None), "weights_u16[1]: null is not a list of [uid, value]"),
    "a bond above u16": (_with(("bonds_u16", 0, 0, 1), 70000), "bonds_u16[0][0][1]: 70000 > 65535"),
    "kappa above u16": (_with(("kappa_u16",), 65536), "kappa_u16: 65536 > 65535"),
    "kappa of NaN": (_with(("kappa_u16",), math.nan), "kappa_u16: NaN is not a whole number"),
    "a moving average above all": (
        _with(("bonds_moving_average",), 1_000_001),
        "bonds_moving_average: 1000001 > 1000000",
    ),
    "a steepness below i16": (_with(("alpha_sigmoid_steepness",), -32769), "alpha_sigmoid_steepness: -32769 < -32768"),
    "a switch of 1": (_with(("yuma3_on",), 1), "yuma3_on: 1 is not true or false"),
    "an owner outside": (_with(("owner_uid",), 3), "owner_uid: 3 > 2"),
    "a negative emission": (_with(("rao_emission",), -1), "rao_emission: -1 < 0"),
    "an unknown consensus source": (
        SOUND | {"liquid_alpha_consensus_mode": "Next"},
        "liquid_alpha_consensus_mode: 'Next' is none of Current, Previous, Auto",
    ),
    "a previous consensus that is too short": (
        SOUND | {"previous_consensus_u16": [1]},
        "previous_consensus_u16: has 1 entries, n is 3: entry 1 is missing",
    ),
}


@pytest.mark.parametrize(("state", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_state_is_refused_by_key_and_index(state: Any, message: str) -> None:
    with pytest.raises(InvalidState) as refused:
        EpochState.from_json(state)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)


def test_the_error_carries_key_and_index_for_programs() -> None:
    with pytest.raises(InvalidState) as refused:
        EpochState.from_json(_with(("weights_u16", 1, 1, 1), 65536))
    assert (refused.value.key, refused.value.index) == ("weights_u16", (1, 1, 1))
    assert isinstance(refused.value, ValueError)


def test_reading_a_state_leaves_the_object_as_it_was() -> None:
    before = copy.deepcopy(SOUND)
    run_epoch(EpochState.from_json(SOUND))
    assert before == SOUND


def test_running_an_epoch_leaves_the_state_as_it_was() -> None:
    """Also for the smallest sizes, where a transposed matrix is the matrix itself."""
    for seed in range(200):
        state = EpochState.from_json(random_state(seed))
        first = run_epoch(state).to_json()
        assert run_epoch(state).to_json() == first


def test_a_state_built_from_plain_values_is_the_one_read_from_json() -> None:
    settings = Hyperparameters(commit_reveal_on=False)
    built = EpochState.create(
        stake=[10, 20, 0],
        weights={0: {2: 65535}, 1: {0: 7, 2: 65535}},
        bonds={0: {2: 9}},
        current_block=10_000,
        last_update=[9_990] * 3,
        rao_emission=1_000_000_000,
        hyperparameters=settings,
    )
    assert run_epoch(built).to_json() == run_epoch(EpochState.from_json(SOUND)).to_json()


def test_a_built_state_names_the_row_of_a_uid_that_does_not_exist() -> None:
    with pytest.raises(InvalidState, match="weights_u16: 3 > 2"):
        EpochState.create(stake=[1, 2, 3], weights={3: {0: 1}}, current_block=1, rao_emission=0)
    with pytest.raises(InvalidState, match=r"weights_u16\[0\]\[0\]\[0\]: 5 > 2"):
        EpochState.create(stake=[1, 2, 3], weights={0: {5: 1}}, current_block=1, rao_emission=0)


def test_a_built_state_follows_the_epoch_before() -> None:
    common: dict[str, Any] = {"stake": [1, 0, 0], "weights": {0: {1: 65535, 2: 30000}}, "rao_emission": 1000}
    first = run_epoch(EpochState.create(current_block=360, **common))
    bonds = {uid: first.bonds.row(uid) for uid in range(3)}
    second = EpochState.create(
        current_block=720,
        last_step_block=360,
        bonds=bonds,
        validator_permits=first.new_validator_permits.tolist(),
        previous_consensus_u16=first.consensus_u16.tolist(),
        **common,
    )
    assert second.last_tempo == 361
    assert run_epoch(second).bonds.row(0)[1] > first.bonds.row(0)[1]


@pytest.mark.parametrize(
    ("tempo", "factor", "expected"), [(360, 13_889, 5000), (360, 1000, 360), (1, 1, 1), (99, 13_889, 1375)]
)
def test_the_activity_cutoff_is_a_factor_of_the_tempo_and_at_least_a_block(
    tempo: int, factor: int, expected: int
) -> None:
    assert activity_cutoff_blocks(tempo, factor) == expected


def test_the_consensus_source_auto_is_the_previous_one_under_a_full_penalty_only() -> None:
    for penalty, expected in ((65535, True), (65534, False), (0, False)):
        auto = Hyperparameters(bonds_penalty_u16=penalty, liquid_alpha_consensus_mode=ConsensusSource.AUTO)
        assert auto.liquid_alpha_reads_previous is expected
    assert Hyperparameters(liquid_alpha_consensus_mode=ConsensusSource.PREVIOUS).liquid_alpha_reads_previous
    assert not Hyperparameters().liquid_alpha_reads_previous


def test_hyperparameters_are_checked_when_they_are_made() -> None:
    with pytest.raises(InvalidState, match="tempo: -1 < 0"):
        Hyperparameters(tempo=-1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from([0, 1, 2, 65535]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=8,
)


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_any_json_in_any_place_is_either_a_state_that_runs_or_refused(data: st.DataObject) -> None:
    """Never a crash, never a silent repair."""
    state: Any = copy.deepcopy(SOUND)
    place = state
    key: Any = data.draw(st.sampled_from(sorted(state)))
    while isinstance(place[key], list) and place[key] and data.draw(st.booleans()):
        place, key = place[key], data.draw(st.integers(0, len(place[key]) - 1))
    place[key] = data.draw(json_values)
    try:
        parsed = EpochState.from_json(state)
    except InvalidState:
        return
    result = run_epoch(parsed).to_json()
    assert {len(vector) for vector in result.values()} == {state["n"]}


# ---- Lengths as the chain tolerates them ---------------------------------------------------------------------------


def _run(**changes: Any) -> dict[str, Any]:
    return run_epoch(EpochState.from_json(SOUND | changes, chain_lengths=True)).to_json()


def test_a_missing_permit_is_none_and_an_extra_one_is_passed_over() -> None:
    assert _run(validator_permits=[True]) == _run(validator_permits=[True, False, False])
    assert _run(validator_permits=[True, True, False, True]) == _run()


def test_without_any_permit_vector_no_vote_counts_but_all_stake_does() -> None:
    """The chain's mask of length zero masks nothing."""
    result = _run(validator_permits=[])
    assert not any(result["incentive_raw"])
    assert result["active_stake_raw"][:2] == result["normalised_stake_raw"][:2]


def test_a_missing_last_update_is_inactive_and_its_votes_are_outdated() -> None:
    assert _run(last_update=[9_990]) == _run(last_update=[9_990, 0, 0])
    assert _run(last_update=[9_990, 9_990, 9_990, 1]) == _run()


def test_without_any_last_update_nobody_is_inactive_but_every_vote_is_outdated() -> None:
    result = _run(last_update=[])
    assert result["active_stake_raw"] == _run()["active_stake_raw"]
    assert not any(result["consensus_raw"])


def test_an_owner_beyond_the_stored_permits_gets_only_the_new_one() -> None:
    result = _run(validator_permits=[True], owner_uid=2)
    assert result["new_validator_permits"] == [True, True, True]


# ---- Sizes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("yuma3", [False, True])
@pytest.mark.parametrize("liquid", [False, True])
def test_an_empty_subnet_and_one_of_a_single_uid_have_an_epoch(yuma3: bool, liquid: bool) -> None:
    for n in (0, 1):
        state = base_state(n, yuma3_on=yuma3, liquid_alpha_on=liquid, stake=[5] * n)
        result = run_epoch(EpochState.from_json(state)).to_json()
        assert all(len(vector) == n for vector in result.values())


def test_the_time_of_reading_a_large_state_is_spent_once() -> None:
    """Rows come out as they went in, explicit zeros and order included."""
    state = generated_state(40, 8)
    state["weights_u16"][0] = [[30, 0], [9, 65535], [20, 1]]
    parsed = EpochState.from_json(state)
    assert parsed.weights.to_lists() == state["weights_u16"]
    assert parsed.weights.row(0) == {30: 0, 9: 65535, 20: 1}
    assert not parsed.weights.is_ascending()
    assert parsed.bonds.is_ascending()
    assert parsed.weights.counts.tolist() == [len(row) for row in state["weights_u16"]]
    assert parsed.weights.values.dtype == np.int64
