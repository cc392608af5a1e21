"""What holds in every epoch, whatever the state; hypothesis looks for one where it does not."""

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assay.consensus import EpochState, largest_remainder, payouts, run_epoch, trace_epoch
from assay.consensus.numbers import ONE, normalize, u16_proportion
from yuma_support.states import base_state

CASES = int(os.environ.get("ASSAY_CONSENSUS_CASES", "2000"))
"""Examples of each property; the long campaign has 100,000."""
State = dict[str, Any]

every_epoch = settings(
    max_examples=CASES, deadline=None, derandomize=CASES <= 2000, suppress_health_check=list(HealthCheck), database=None
)
EDGES = np.array([0, 1, 32766, 32767, 32768, 65534, 65535])
u16s = st.one_of(st.sampled_from(EDGES.tolist()), st.integers(0, 65535))


def _rows(blob: bytes, n: int) -> list[list[list[int]]]:
    """Sparse rows from two bytes an entry: a quarter absent, a quarter at an edge. One draw, so that it is quick."""
    codes = np.frombuffer(blob, "<u2").reshape(n, n).astype(int)
    values = np.where(codes % 4 == 1, EDGES[codes % len(EDGES)], codes)
    return [[[j, int(values[i, j])] for j in range(n) if codes[i, j] % 4] for i in range(n)]


def _stakes(blob: bytes) -> list[int]:
    """Stakes from eight bytes each: many equal ones, many zeros, else up to 10^15."""
    codes = np.frombuffer(blob, "<u8").tolist()
    return [(0, 1, 1000, 1000)[code >> 2 & 3] if code % 4 == 0 else code % 10**15 for code in codes]


@st.composite
def states(draw: st.DrawFn, voters_max: int = 5, miners_max: int = 4) -> State:
    """Up to nine uids, all of which may vote, hold bonds and have stake."""
    n = draw(st.integers(1, voters_max)) + draw(st.integers(0, miners_max))
    low, high = sorted((draw(u16s), draw(u16s)))
    flags = draw(st.binary(min_size=n, max_size=n))
    return base_state(
        n,
        stake=_stakes(draw(st.binary(min_size=8 * n, max_size=8 * n))),
        validator_permits=[flag & 3 != 1 for flag in flags],
        max_allowed_validators=64,
        owner_uid=draw(st.one_of(st.none(), st.integers(0, n - 1))),
        last_update=[4_000 if flag >> 2 & 3 == 1 else 9_990 for flag in flags],
        block_at_registration=[9_990 if flag >> 4 & 3 == 1 else 0 for flag in flags],
        weights_u16=_rows(draw(st.binary(min_size=2 * n * n, max_size=2 * n * n)), n),
        bonds_u16=_rows(draw(st.binary(min_size=2 * n * n, max_size=2 * n * n)), n),
        kappa_u16=draw(st.one_of(st.just(32767), u16s)),
        bonds_penalty_u16=draw(u16s),
        bonds_moving_average=draw(st.sampled_from([0, 900_000, 975_000, 1_000_000])),
        yuma3_on=draw(st.booleans()),
        liquid_alpha_on=draw(st.booleans()),
        alpha_low_u16=low,
        alpha_high_u16=high,
        alpha_sigmoid_steepness=draw(st.sampled_from([1000, 0, 10, -1000, 32767])),
        rao_emission=draw(st.sampled_from([0, 1, 10**9, 2**64 - 1])),
    )


def outcome(state: State) -> dict[str, Any]:
    return run_epoch(EpochState.from_json(state)).to_json()


@every_epoch
@given(states(), st.integers(0, 2**32))
def test_renumbering_the_uids_renumbers_the_result(state: State, seed: int) -> None:
    n = state["n"]
    new_of = np.random.default_rng(seed).permutation(n).tolist()
    moved = dict(state)
    for key, value in state.items():
        if isinstance(value, list):
            moved[key] = [value[new_of.index(new)] for new in range(n)]
    for key in ("weights_u16", "bonds_u16"):
        moved[key] = [sorted([new_of[uid], value] for uid, value in row) for row in moved[key]]
    if state["owner_uid"] is not None:
        moved["owner_uid"] = new_of[state["owner_uid"]]
    before, after = outcome(state), outcome(moved)
    for key, vector in before.items():
        for uid in range(n):
            theirs, ours = after[key][new_of[uid]], vector[uid]
            assert theirs == (sorted([new_of[j], b] for j, b in ours) if isinstance(ours, list) else ours), key


@every_epoch
@given(states(), st.sampled_from([2, 3, 10, 997, 9000]))
def test_multiplying_all_stakes_and_the_threshold_changes_nothing(state: State, factor: int) -> None:
    state = state | {"stake_threshold": 1000}
    scaled = state | {"stake": [s * factor for s in state["stake"]], "stake_threshold": 1000 * factor}
    assert outcome(scaled) == outcome(state)


@every_epoch
@given(states())
def test_shares_sum_to_one_but_for_the_floors_and_emissions_to_at_most_the_amount(state: State) -> None:
    result = outcome(state)
    for key in ("normalised_stake_raw", "active_stake_raw", "incentive_raw", "dividends_raw"):
        total = sum(result[key])
        assert total == 0 or ONE - state["n"] < total <= ONE, key
    assert sum(result["combined_emission"]) <= state["rao_emission"]
    assert sum(result["server_emission"]) + sum(result["validator_emission"]) <= state["rao_emission"]
    for key, vector in result.items():
        assert all(value >= 0 for value in vector if not isinstance(value, list)), key
        assert all(0 <= bond <= ONE for row in vector if isinstance(row, list) for _, bond in row), key


@every_epoch
@given(states())
def test_clipping_only_ever_takes_away_and_the_consensus_is_somebodys_weight(state: State) -> None:
    trace = trace_epoch(EpochState.from_json(state))
    consensus = trace.result.consensus_raw
    assert (trace.clipped_weights <= trace.weights).all()
    assert (trace.clipped_weights <= consensus).all()
    if len(trace.uids):
        assert (consensus <= trace.weights.max(axis=0)).all()
    for j in range(state["n"]):
        assert consensus[j] == 0 or consensus[j] in trace.weights[:, j]
    assert (trace.result.validator_trust_raw <= ONE).all()


@every_epoch
@given(states(voters_max=6, miners_max=3))
def test_no_coalition_below_kappa_moves_the_consensus_out_of_the_honest_range(state: State) -> None:
    """Every coalition at once: each subset of the voters, with whatever it says, against all others as the honest."""
    trace = trace_epoch(EpochState.from_json(state))
    voting = trace.result.active_stake_raw[trace.uids] > 0
    weights, consensus = trace.weights[voting], trace.result.consensus_raw
    share = normalize(trace.result.active_stake_raw[trace.uids][voting])
    kappa = u16_proportion(state["kappa_u16"])
    members = (np.arange(1 << len(share))[:, None] >> np.arange(len(share))) & 1 == 1
    for coalition, stake in zip(members, members @ share, strict=True):
        honest = weights[~coalition]
        if len(honest) and stake < kappa:
            assert (consensus <= honest.max(axis=0)).all()
        if len(honest) and share.sum() - stake >= kappa:
            assert (consensus >= honest.min(axis=0)).all()


@pytest.mark.parametrize(
    ("kappa_u16", "half_is_enough"), [(32766, True), (32767, True), (32768, False)], ids=["below", "default", "above"]
)
def test_half_of_the_stake_sets_the_consensus_up_to_a_kappa_of_32767(kappa_u16: int, half_is_enough: bool) -> None:
    state = base_state(
        4,
        stake=[5, 5, 0, 0],
        validator_permits=[True, True, False, False],
        weights_u16=[[[2, 65535]], [[3, 65535]], [], []],
        kappa_u16=kappa_u16,
    )
    assert outcome(state)["consensus_raw"] == ([0, 0, ONE, ONE] if half_is_enough else [0, 0, 0, 0])


@pytest.mark.parametrize(("stake", "enough"), [(32766, False), (32767, True), (32768, True)])
def test_a_bloc_needs_exactly_kappa_of_the_stake(stake: int, enough: bool) -> None:
    """The rest votes for another miner; a bloc one unit of 65535 below kappa has no say at all."""
    state = base_state(
        4,
        stake=[stake, 65535 - stake, 0, 0],
        validator_permits=[True, True, False, False],
        weights_u16=[[[2, 65535]], [[3, 65535]], [], []],
    )
    assert outcome(state)["consensus_u16"][2] == (65535 if enough else 0)


@every_epoch
@given(states(), st.sampled_from(["combined", "server", "validator"]), st.integers(0, 2**70))
def test_payouts_hand_out_every_unit_and_nobody_is_a_unit_from_its_quota(state: State, share: Any, amount: int) -> None:
    result = run_epoch(EpochState.from_json(state))
    paid = payouts(result, amount, share)
    weights = getattr(result, f"normalised_{share}_emission_raw").tolist()
    total = sum(weights)
    assert sum(paid) == (amount if total else 0)
    for units, weight in zip(paid, weights, strict=True):
        assert total == 0 or abs(units * total - amount * weight) < total
        assert weight or not units


@pytest.mark.parametrize(
    ("weights", "amount", "expected"),
    [
        ((1, 1, 1), 10, (4, 3, 3)),
        ((1, 1, 1), 11, (4, 4, 3)),
        ((1, 2, 1), 2, (1, 1, 0)),
        ((0, 5, 0), 7, (0, 7, 0)),
        ((0, 0), 7, (0, 0)),
        ((), 7, ()),
        ((3, 3, 3), 0, (0, 0, 0)),
    ],
    ids=["one left", "two left", "tied halves", "one takes all", "nobody", "nobody at all", "nothing"],
)
def test_the_largest_remainder_gets_the_unit_left_over(
    weights: tuple[int, ...], amount: int, expected: tuple[int, ...]
) -> None:
    assert largest_remainder(weights, amount) == expected


def test_a_negative_amount_is_refused() -> None:
    result = run_epoch(EpochState.from_json(base_state(1, stake=[1])))
    with pytest.raises(ValueError, match="amount -1 < 0"):
        payouts(result, -1)
