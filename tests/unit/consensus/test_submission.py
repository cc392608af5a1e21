"""Setting weights: the first refusal in the chain's order, or the row that is stored."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.consensus import (
    Refusal,
    Submission,
    WeightRules,
    is_max_limited,
    submit_weights,
    upscaled_to_max,
    vec_max_upscale_to_u16,
)

RULES = WeightRules(n=4, stake_threshold=100, version_key=7, commit_reveal_on=False, min_allowed_weights=2)
GOOD = Submission(
    uid=0, uids=(1, 2), values=(1, 2), stake=100, has_permit=True, version_key=7, block=1000, last_update=900
)


def test_a_good_vector_is_stored_with_its_largest_weight_at_65535() -> None:
    assert submit_weights(GOOD, RULES) == {1: 32768, 2: 65535}


def test_zeros_and_the_order_are_kept() -> None:
    stored = submit_weights(replace(GOOD, uids=(3, 1, 2), values=(0, 9, 3)), RULES)
    assert isinstance(stored, dict)
    assert list(stored.items()) == [(3, 0), (1, 65535), (2, 21845)]


REFUSED = {
    "lengths differ": (replace(GOOD, values=(1,)), Refusal.WEIGHT_VEC_NOT_EQUAL_SIZE),
    "more entries than uids": (
        replace(GOOD, uids=(0, 1, 2, 3, 4), values=(1,) * 5),
        Refusal.UIDS_LENGTH_EXCEED_UIDS_IN_SUBNET,
    ),
    "nobody": (replace(GOOD, uid=None), Refusal.HOTKEY_NOT_REGISTERED_IN_SUBNET),
    "a uid beyond the subnet": (replace(GOOD, uid=4), Refusal.HOTKEY_NOT_REGISTERED_IN_SUBNET),
    "a unit of stake short": (replace(GOOD, stake=99), Refusal.NOT_ENOUGH_STAKE_TO_SET_WEIGHTS),
    "an old version": (replace(GOOD, version_key=6), Refusal.INCORRECT_WEIGHT_VERSION_KEY),
    "a block too soon": (replace(GOOD, last_update=901), Refusal.SETTING_WEIGHTS_TOO_FAST),
    "without a permit": (replace(GOOD, has_permit=False), Refusal.NEURON_NO_VALIDATOR_PERMIT),
    "a uid twice": (replace(GOOD, uids=(1, 1)), Refusal.DUPLICATE_UIDS),
    "a uid that is not there": (replace(GOOD, uids=(1, 4)), Refusal.UID_VEC_CONTAIN_INVALID_ONE),
    "too few entries": (replace(GOOD, uids=(1,), values=(1,)), Refusal.WEIGHT_VEC_LENGTH_IS_LOW),
    "everything wrong, so the first reason": (
        Submission(uid=None, uids=(9, 9), values=(1,), stake=0, has_permit=False, block=0, last_update=0),
        Refusal.WEIGHT_VEC_NOT_EQUAL_SIZE,
    ),
}


@pytest.mark.parametrize(("submission", "reason"), REFUSED.values(), ids=REFUSED)
def test_a_vector_is_refused_with_the_chains_error_name(submission: Submission, reason: Refusal) -> None:
    assert submit_weights(submission, RULES) is reason


def test_one_weight_above_the_limit_is_refused() -> None:
    assert submit_weights(GOOD, replace(RULES, max_weight_u16=32768)) is Refusal.MAX_WEIGHT_EXCEEDED
    assert isinstance(submit_weights(replace(GOOD, values=(5, 5)), replace(RULES, max_weight_u16=32768)), dict)


def test_who_has_never_set_weights_need_not_wait() -> None:
    assert isinstance(submit_weights(replace(GOOD, last_update=0, block=5), RULES), dict)


def test_under_commit_reveal_the_limit_holds_for_the_commit_not_for_the_weights() -> None:
    assert isinstance(submit_weights(replace(GOOD, last_update=999), replace(RULES, commit_reveal_on=True)), dict)


def test_a_single_self_weight_needs_neither_a_permit_nor_company() -> None:
    assert submit_weights(replace(GOOD, uids=(0,), values=(3,), has_permit=False), RULES) == {0: 65535}


def test_the_owner_needs_neither_a_permit_nor_stake() -> None:
    owner = replace(RULES, owner_uid=0)
    assert isinstance(submit_weights(replace(GOOD, stake=0, has_permit=False), owner), dict)
    assert submit_weights(replace(GOOD, stake=0, uid=1, uids=(0, 2)), owner) is Refusal.NOT_ENOUGH_STAKE_TO_SET_WEIGHTS


def test_a_small_subnet_asks_for_no_more_weights_than_it_has_uids() -> None:
    assert submit_weights(GOOD, replace(RULES, n=3, min_allowed_weights=1024)) is Refusal.WEIGHT_VEC_LENGTH_IS_LOW
    full = replace(GOOD, uids=(0, 1, 2), values=(1, 1, 1))
    assert isinstance(submit_weights(full, replace(RULES, n=3, min_allowed_weights=1024)), dict)


@given(st.lists(st.integers(0, 65535), max_size=40))
def test_upscaling_keeps_order_zeros_and_ratios_to_half_a_unit(values: list[int]) -> None:
    stored = upscaled_to_max(values)
    assert stored == vec_max_upscale_to_u16(values)
    largest = max(values, default=0)
    assert max(stored, default=0) == (65535 if largest else 0)
    for value, weight in zip(values, stored, strict=True):
        assert largest == 0 or abs(weight * largest - value * 65535) <= largest // 2 + 1
        assert value or not weight
    if largest:
        assert upscaled_to_max(stored) == stored


@pytest.mark.parametrize(("limit", "fits"), [(32767, False), (32768, True), (65535, True), (0, False)])
def test_a_share_of_one_half_needs_a_limit_of_32768(limit: int, fits: bool) -> None:
    assert is_max_limited([65535, 65535], limit) is fits
