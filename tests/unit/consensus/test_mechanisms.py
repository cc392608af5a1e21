"""Several mechanisms: the emission is split without a loss, each pays by its own weights, the subnet is their sum."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.consensus import EpochState, run_epoch, run_mechanisms, split_emission
from assay.consensus.mechanisms import storage_index
from yuma_support.states import base_state, random_state


def _mechanism(weights: list[list[int]], **changes: Any) -> EpochState:
    return EpochState.from_json(
        base_state(3, stake=[1, 0, 0], validator_permits=[True, False, False], weights_u16=[weights, [], []], **changes)
    )


@given(st.integers(0, 2**64 - 1), st.integers(1, 16), st.data())
def test_the_parts_of_the_emission_add_up(amount: int, mechanisms: int, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, 65535), min_size=mechanisms - 1, max_size=mechanisms - 1)))
    split = [high - low for low, high in zip([0, *cuts], [*cuts, 65535], strict=True)]
    for parts in (split_emission(amount, mechanisms), split_emission(amount, mechanisms, split)):
        assert sum(parts) == amount
        assert min(parts) >= 0
    assert split_emission(amount, mechanisms, [*split, 0]) == split_emission(amount, mechanisms), (
        "a split that does not fit"
    )


@pytest.mark.parametrize(
    ("mechanisms", "split", "message"),
    [(0, None, "0 mechanisms"), (17, None, "17 mechanisms"), (2, [65535, 65535], "sums to 131070")],
)
def test_an_impossible_split_is_refused(mechanisms: int, split: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_emission(10**9, mechanisms, split)


def test_the_storage_index_of_the_first_mechanism_is_the_netuid() -> None:
    assert storage_index(7, 0) == 7
    assert storage_index(7, 2) == 8199


def test_one_mechanism_is_the_epoch_itself() -> None:
    for seed in range(100):
        state = EpochState.from_json(random_state(seed))
        alone, subnet = run_epoch(state), run_mechanisms([state], state.rao_emission)
        assert subnet.mechanisms[0].to_json() == alone.to_json()
        for name in ("server_emission", "validator_emission", "active", "new_validator_permits", "stake_weight_u16"):
            assert getattr(subnet, name).tolist() == getattr(alone, name).tolist(), name
        for name in ("consensus_u16", "dividends_u16", "validator_trust_u16", "combined_emission"):
            assert getattr(subnet, name).tolist() == getattr(alone, name).tolist(), name


def test_the_subnet_is_paid_what_its_mechanisms_are_paid() -> None:
    states = [_mechanism([[1, 65535]]), _mechanism([[2, 65535]])]
    subnet = run_mechanisms(states, 1000, [45875, 19660])
    assert [epoch.server_emission.tolist() for epoch in subnet.mechanisms] == [[0, 350, 0], [0, 0, 149]]
    assert subnet.server_emission.tolist() == [0, 350, 149]
    assert subnet.validator_emission.tolist() == [499, 0, 0]
    assert subnet.server_emission.dtype == np.uint64


def test_the_u16_vectors_are_weighted_by_the_parts_and_floored_after_each() -> None:
    states = [_mechanism([[1, 65535], [2, 65535]]), _mechanism([[2, 65535]])]
    subnet = run_mechanisms(states, 3)
    first, second = (epoch.consensus_u16.tolist() for epoch in subnet.mechanisms)
    # Two units for the first mechanism, one for the second.
    shares = [(2 << 64) // 3, (1 << 64) // 3]
    assert subnet.consensus_u16.tolist() == [
        (a * shares[0] >> 64) + (b * shares[1] >> 64) for a, b in zip(first, second, strict=True)
    ]


def test_active_or_permitted_in_one_mechanism_is_so_in_the_subnet() -> None:
    idle = _mechanism([], last_update=[1, 1, 1])
    busy = _mechanism([[1, 65535]], last_update=[9_990, 1, 1])
    subnet = run_mechanisms([idle, busy], 10)
    assert subnet.active.tolist() == [True, False, False]
    assert subnet.new_validator_permits.tolist() == [True, False, False]


def test_with_nothing_to_hand_out_the_first_mechanism_speaks_for_the_subnet() -> None:
    subnet = run_mechanisms([_mechanism([[1, 65535]]), _mechanism([[2, 65535]])], 0)
    assert subnet.consensus_u16.tolist() == [0, 65535, 0]


def test_mechanisms_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="share its uids"):
        run_mechanisms([_mechanism([]), EpochState.from_json(base_state(2))], 1)
