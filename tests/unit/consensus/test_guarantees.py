"""What the consensus promises an honest majority, at upstream's sizes and settings: inequalities, not digits."""

from typing import Any

import numpy as np
import pytest

from assay.consensus import EpochState, run_epoch, upscaled_to_max
from yuma_support import vectors
from yuma_support.states import base_state, generated_state

N, VALIDATORS = 512, 64
GUARANTEES = [
    (vector["id"], case) for vector in vectors.with_prefix("consensus_guarantees") for case in vector["cases"]
]


def major_emission_share(case: dict[str, Any], seed: int, *, own_opinions: bool) -> tuple[float, float]:
    """One epoch of a majority against a cabal: the majority's (emission, stake).

    Stakes and votes have noise; validators of a side vote alike, or each has an opinion of its own.
    """
    rng = np.random.default_rng(seed)
    major = int(case["major_stake"] * VALIDATORS)
    major_servers = int(case["major_stake"] * (N - VALIDATORS))
    major_stake = _shares(rng, major, 0.3) * case["major_stake"]
    minor_stake = _shares(rng, VALIDATORS - major, 0.3) * (1 - case["major_stake"])
    stake = np.concatenate((major_stake, minor_stake))

    def vote(to_major: float) -> list[list[int]]:
        ours, theirs = (_shares(rng, k, case["weight_stddev"]) for k in (major_servers, N - VALIDATORS - major_servers))
        return _row(np.concatenate((ours * to_major, theirs * (1 - to_major))))

    to_major = [case["major_weight"] if uid < major else 1 - case["minor_weight"] for uid in range(VALIDATORS)]
    shared = {part: vote(part) for part in set(to_major)}
    rows = [vote(part) if own_opinions else shared[part] for part in to_major]
    state = base_state(
        N,
        stake=[*(int(s * 10**15) for s in stake), *[0] * (N - VALIDATORS)],
        validator_permits=[uid < VALIDATORS for uid in range(N)],
        weights_u16=[rows[uid] if uid < VALIDATORS else [[uid, 65535]] for uid in range(N)],
        bonds_penalty_u16=case.get("bonds_penalty_u16", 65535),
        yuma3_on=False,
    )
    emission = run_epoch(EpochState.from_json(state)).combined_emission.tolist()
    mine = sum(emission[:major]) + sum(emission[VALIDATORS : VALIDATORS + major_servers])
    return mine / sum(emission), float(stake[:major].sum())


def _shares(rng: np.random.Generator, size: int, spread: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    noise = np.clip(rng.normal(1, spread, size), 0, None)
    return np.asarray(noise / noise.sum())


def _row(vote: np.ndarray[Any, np.dtype[np.float64]]) -> list[list[int]]:
    weights = upscaled_to_max([int(w) for w in vote / vote.max() * 65535])
    return [[VALIDATORS + k, weight] for k, weight in enumerate(weights)]


@pytest.mark.parametrize(
    "case",
    [case for _, case in GUARANTEES],
    ids=[f"{name.split()[0]} {' '.join(f'{value}' for value in case.values())}" for name, case in GUARANTEES],
)
def test_an_honest_majority_is_paid_at_least_its_stake(case: dict[str, Any]) -> None:
    emission, stake = major_emission_share(case, seed=4, own_opinions=False)
    assert emission >= stake - 1e-6
    assert stake == pytest.approx(case["assert_major_emission_at_least"], abs=1e-6)


FIGURES = [
    case
    for vector in vectors.of_kind("published_figures")
    for case in vector["cases"]
    if case.get("xi", 0.5) == 0.5 and "min_honest_self_weight" in case
]


@pytest.mark.parametrize("figure", FIGURES, ids=[str(figure) for figure in FIGURES])
def test_the_published_figures_tell_how_much_honesty_is_needed(figure: dict[str, Any]) -> None:
    """Read off plots to about 0.02: 0.04 more is enough whatever the cabal does, 0.06 less is not."""
    needed = figure["min_honest_self_weight"]

    def worst(major_weight: float) -> float:
        case = {
            "major_stake": figure["S_H"],
            "major_weight": major_weight,
            "weight_stddev": figure["weight_stddev_of_mean"],
            "bonds_penalty_u16": round(figure["beta"] * 65535),
        }
        margins = []
        for minor_weight in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
            emission, stake = major_emission_share(case | {"minor_weight": minor_weight}, seed=1, own_opinions=True)
            margins.append(emission - stake)
        return min(margins)

    assert worst(min(needed + 0.04, 1.0)) >= -1e-6
    assert worst(needed - 0.06) < 0


@pytest.mark.parametrize("penalty", [0, 30_000])
def test_liquid_alpha_between_equal_bounds_is_the_plain_average(penalty: int) -> None:
    """Alpha 6553/65535 against 1 - 900000/10^6: 0.09999 and 0.1, so bonds agree to a thousandth."""
    common: dict[str, Any] = {"alpha_low_u16": 6553, "alpha_high_u16": 6553, "bonds_penalty_u16": penalty}
    liquid = run_epoch(EpochState.from_json(generated_state(24, 6, liquid_alpha_on=True, **common)))
    plain = run_epoch(EpochState.from_json(generated_state(24, 6, **common)))
    assert liquid.ema_bonds.columns.tolist() == plain.ema_bonds.columns.tolist()
    assert np.abs(liquid.ema_bonds.values - plain.ema_bonds.values).max() < 2**32 / 1000


def test_a_bond_without_a_vote_vanishes_under_liquid_alpha_and_decays_without() -> None:
    explicit_zero = [[2, 65535], [3, 0]]
    for weights, penalty, lives in (([[2, 65535]], 0, False), (explicit_zero, 0, True), (explicit_zero, 9, False)):
        state = base_state(
            4,
            stake=[1, 0, 0, 0],
            validator_permits=[True, False, False, False],
            weights_u16=[weights, [], [], []],
            bonds_u16=[[[3, 65535]], [], [], []],
            bonds_penalty_u16=penalty,
        )
        plain = run_epoch(EpochState.from_json(state)).bonds.row(0)
        liquid = run_epoch(EpochState.from_json(state | {"liquid_alpha_on": True})).bonds.row(0)
        assert plain[3] == 58981
        assert (3 in liquid) is lives


@pytest.mark.parametrize(
    ("mode", "penalty", "previous"),
    [("Current", 65535, False), ("Previous", 0, True), ("Auto", 65535, True), ("Auto", 65534, False)],
)
def test_liquid_alpha_compares_with_the_consensus_it_is_told_to(mode: str, penalty: int, previous: bool) -> None:
    """A stored consensus of zero makes every weight a purchase: alpha is high. Today's equals the weight: it is low."""
    state = base_state(
        3,
        stake=[1, 0, 0],
        validator_permits=[True, False, False],
        weights_u16=[[[1, 65535]], [], []],
        liquid_alpha_on=True,
        bonds_penalty_u16=penalty,
        liquid_alpha_consensus_mode=mode,
        previous_consensus_u16=[0, 0, 0],
    )
    bond = run_epoch(EpochState.from_json(state)).bonds.row(0)[1]
    assert bond == pytest.approx(58982 if previous else 45875, rel=0.01)
