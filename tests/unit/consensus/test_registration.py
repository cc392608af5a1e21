"""Places: the price of one, immunity, who is pruned, and what becomes of a replaced neuron's rows."""

import numpy as np
import pytest

from assay.consensus import (
    EpochState,
    Place,
    PlaceRules,
    bonds_after_reset,
    burn_after_block,
    burn_after_registration,
    immune_until,
    is_immune,
    place_for_newcomer,
    pruning_order,
    rows_after_replacement,
    run_epoch,
    uid_to_prune,
    uids_to_trim,
)
from assay.consensus.numbers import HALF, ONE
from assay.consensus.registration import decay_factor
from yuma_support.states import base_state

RULES = PlaceRules(max_allowed_uids=4, immunity_period_blocks=100, min_non_immune_uids=1)


def test_the_order_is_by_emission_then_age_then_uid() -> None:
    assert pruning_order([5, 0, 0, 0, 7], [0, 9, 3, 3, 0]) == (2, 3, 1, 0, 4)


def test_a_neuron_newer_than_the_last_epoch_has_earned_nothing() -> None:
    assert pruning_order([5, 6], [0, 0, 50]) == (2, 0, 1)


def test_the_protected_are_never_candidates() -> None:
    assert pruning_order([0, 1, 2], [0, 0, 0], protected={0}) == (1, 2)


@pytest.mark.parametrize(("block", "immune"), [(99, True), (100, True), (199, True), (200, False), (10_000, False)])
def test_immunity_ends_with_the_period(block: int, immune: bool) -> None:
    assert is_immune(100, block, 100) is immune
    assert (block < immune_until(100, 100)) is immune


PRUNED = {
    "the poorest of the non-immune": ([3, 1, 2, 0], [0, 0, 0, 950], 1),
    "an immune one while too few are non-immune": ([3, 1, 9, 0], [0, 950, 950, 950], 3),
    "the oldest of equally poor": ([0, 0, 0, 0], [7, 5, 6, 950], 1),
    "the poorest immune one if all are": ([4, 3, 2, 1], [950, 950, 950, 950], 3),
}


@pytest.mark.parametrize(("emission", "registered", "uid"), PRUNED.values(), ids=PRUNED)
def test_room_is_made_by(emission: list[int], registered: list[int], uid: int) -> None:
    assert uid_to_prune(emission, registered, current_block=1000, rules=RULES) == uid
    place = place_for_newcomer(emission, registered, current_block=1000, rules=RULES)
    assert place == Place(uid, replaces=True)


def test_nobody_is_pruned_if_no_more_than_the_least_number_is_non_immune_and_none_is_immune() -> None:
    assert uid_to_prune([1], [0], current_block=1000, rules=RULES) is None
    protected = {0, 1, 2, 3}
    assert place_for_newcomer([0] * 4, [0] * 4, current_block=1000, rules=RULES, protected=protected) is None


def test_a_free_place_is_taken_before_anybody_goes() -> None:
    assert place_for_newcomer([0, 0], [0, 0], current_block=1000, rules=RULES) == Place(2, replaces=False)


def test_the_emission_that_prunes_is_the_combined_one_of_the_epoch() -> None:
    state = base_state(
        3,
        stake=[9, 0, 0],
        validator_permits=[True, False, False],
        weights_u16=[[[1, 65535], [2, 1]], [], []],
    )
    emission = run_epoch(EpochState.from_json(state)).combined_emission
    assert emission.dtype == np.uint64
    assert pruning_order(emission.tolist(), state["block_at_registration"]) == (2, 1, 0)


# ---- Shrinking -----------------------------------------------------------------------------------------------------

TRIM = PlaceRules(max_allowed_uids=10, min_allowed_uids=2, immunity_period_blocks=100)


def test_the_lowest_emitters_go_and_of_equal_ones_the_higher_uid() -> None:
    assert uids_to_trim([5, 1, 1, 9, 0], [0] * 5, 3, current_block=1000, rules=TRIM) == (4, 2)
    assert uids_to_trim([5, 1, 1], [0] * 3, 3, current_block=1000, rules=TRIM) == ()


def test_immune_and_protected_neurons_stay() -> None:
    trimmed = uids_to_trim([0, 1, 2, 3], [950, 0, 0, 0], 3, current_block=1000, rules=TRIM, protected={1})
    assert trimmed == (2,)


def test_trimming_is_refused_where_immune_neurons_would_fill_the_subnet() -> None:
    with pytest.raises(ValueError, match="4 immune neurons of 5 places"):
        uids_to_trim([0] * 6, [950] * 4 + [0, 0], 5, current_block=1000, rules=TRIM)
    with pytest.raises(ValueError, match=r"max_uids 1 is not in 2\.\.10"):
        uids_to_trim([0] * 6, [0] * 6, 1, current_block=1000, rules=TRIM)


# ---- Rows ----------------------------------------------------------------------------------------------------------


def test_a_replaced_neurons_rows_are_gone_and_weights_for_it_are_zero_but_there() -> None:
    weights, bonds = rows_after_replacement({0: {1: 5, 2: 6}, 1: {0: 7}}, {0: {1: 8}, 1: {0: 9}}, 1)
    assert weights == {0: {1: 0, 2: 6}}
    assert bonds == {0: {1: 8}}


def test_a_newcomer_inherits_neither_votes_nor_bonds() -> None:
    settings = {
        "stake": [1, 0, 0],
        "validator_permits": [True, False, False],
        "bonds_u16": [[[1, 65535], [2, 65535]], [], []],
    }
    state = base_state(
        3, weights_u16=[[[1, 65535], [2, 65535]], [], []], block_at_registration=[0, 9_995, 0], **settings
    )
    result = run_epoch(EpochState.from_json(state))
    assert result.incentive_u16.tolist() == [0, 0, 65535]
    assert 1 not in result.bonds.row(0)


def test_a_reset_takes_one_miner_out_of_every_row() -> None:
    assert bonds_after_reset({0: {1: 5, 2: 6}, 3: {1: 7}}, 1) == {0: {2: 6}, 3: {}}


# ---- The price of a place ------------------------------------------------------------------------------------------


def test_a_registration_raises_the_price_by_a_quarter_and_a_bit() -> None:
    assert burn_after_registration(1_000_000_000, 0, 10**12) == 1_260_000_000
    assert burn_after_registration(1, 500_000, 10**12) == 500_000
    assert burn_after_registration(10**12, 0, 10**12) == 10**12
    assert burn_after_registration(100, 0, 1000, increase_u64f64=0) == 100, "it never falls by a registration"


@pytest.mark.parametrize("half_life", [1, 7, 360, 32768])
def test_the_price_halves_in_a_half_life(half_life: int) -> None:
    factor = decay_factor(half_life)
    assert HALF <= factor < ONE
    burn = 10**15
    for _ in range(half_life):
        burn = burn_after_block(burn, 0, 10**18, half_life)
    assert abs(burn - 5 * 10**14) < 5 * 10**14 * half_life // 2**20 + half_life


def test_the_price_stays_within_its_bounds_and_without_a_half_life_where_it_is() -> None:
    assert burn_after_block(600_000, 599_999, 10**12) == 599_999
    assert burn_after_block(10**15, 0, 10**12) == 10**12
    assert burn_after_block(777, 0, 10**12, half_life_blocks=0) == 777
