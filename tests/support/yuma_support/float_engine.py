"""The same epoch in float64 and dense matrices: what one would write without caring for the last digit.

It is the yardstick of the benchmark and a cross-check to about 1e-6, never more: at a tie one unit in the last place
moves its median. It reads the same `EpochState`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assay.consensus import EpochState

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FloatResult:
    """Proportions in [0, 1], one a uid; bonds as stored, one row for each uid in `rows`."""

    consensus: Floats
    validator_trust: Floats
    incentive: Floats
    dividends: Floats
    emission: Floats
    bonds: Floats
    rows: NDArray[np.int64]


def run(state: EpochState) -> FloatResult:
    """One epoch; liquid alpha compares with the current consensus."""
    settings = state.hyperparameters
    n = state.n
    stake = np.array(state.stake, np.float64)
    counted = stake >= settings.stake_threshold
    permits = state.validator_permits.copy()
    if state.owner_uid is not None:
        counted[state.owner_uid] = permits[state.owner_uid] = True
    stake = _normalised(np.where(counted, stake, 0.0))
    inactive = state.last_update.astype(np.float64) + settings.activity_cutoff_blocks < state.current_block
    active_stake = _normalised(np.where(permits & ~inactive, stake, 0.0))

    rows = np.flatnonzero((permits & (state.weights.counts > 0)) | (state.bonds.counts > 0) | (active_stake > 0))
    weights = state.weights.dense(rows).astype(np.float64)
    present = state.weights.present(rows) & permits[rows, None]
    diagonal = rows[:, None] == np.arange(n)
    if state.owner_uid is not None:
        diagonal[rows == state.owner_uid] = False
    present &= ~diagonal
    present &= state.last_update[rows, None] > state.block_at_registration
    if settings.commit_reveal_on:
        present &= state.commit_blocks[rows, None] >= state.block_at_registration
    weights *= present
    weights /= _or_one(weights.sum(axis=1, keepdims=True))
    row_stake = active_stake[rows]

    consensus = _median(row_stake, weights, settings.kappa_u16 / 65535)
    clipped = np.minimum(weights, consensus)
    incentive = _normalised(row_stake @ clipped)

    beta = settings.bonds_penalty_u16 / 65535
    for_bonds = weights + beta * (clipped - weights)
    alpha = 1 - settings.bonds_moving_average / 1e6
    old = state.bonds.dense(rows) / 65535
    old[:, state.block_at_registration >= state.last_tempo] = 0
    if settings.yuma3_on:
        if settings.liquid_alpha_on and consensus.any():
            bonds = _liquid(state, for_bonds, old, consensus, present & ((clipped > 0) | (beta < 1) | (weights == 0)))
        else:
            bonds = alpha * for_bonds + (1 - alpha) * old
        held = (bonds / _or_one(bonds.sum(axis=0))) @ incentive
        dividends = _normalised(held * row_stake)
    else:
        delta = for_bonds * row_stake[:, None]
        bonds = alpha * delta / _or_one(delta.sum(axis=0)) + (1 - alpha) * old / _or_one(old.sum(axis=0))
        bonds /= _or_one(bonds.sum(axis=0))
        dividends = _normalised(bonds @ incentive)
        bonds /= _or_one(bonds.max(axis=0, initial=0))
    by_uid = np.zeros(n)
    by_uid[rows] = dividends
    trust = np.zeros(n)
    trust[rows] = clipped.sum(axis=1)
    emission = _normalised(incentive + by_uid)
    if not emission.any():
        emission = active_stake if active_stake.any() else stake
    return FloatResult(consensus, trust, incentive, by_uid, emission, bonds, rows)


def _liquid(state: EpochState, for_bonds: Floats, old: Floats, consensus: Floats, present: NDArray[np.bool_]) -> Floats:
    settings = state.hyperparameters
    low, high = settings.alpha_low_u16 / 65535, settings.alpha_high_u16 / 65535
    buy, sell = np.maximum(for_bonds - consensus, 0), np.maximum(old - for_bonds, 0)
    difference = np.where(for_bonds >= old, buy, sell)
    exponent = np.clip(settings.alpha_sigmoid_steepness / -100 * (difference - 0.5), -20, 20)
    alpha = low + (high - low) / (1 + np.exp(exponent))
    return np.where(present, np.minimum((1 - alpha) * old + alpha * for_bonds, 1), 0)


def _median(stake: Floats, weights: Floats, kappa: float) -> Floats:
    voting = stake > 0
    if not voting.any():
        return np.zeros(weights.shape[1])
    votes, share = weights[voting], _normalised(stake[voting])
    order = np.argsort(votes, axis=0, kind="stable")
    exceeds = np.cumsum(share[order], axis=0) > share.sum() - kappa
    place = np.where(exceeds[-1], exceeds.argmax(axis=0), len(share) - 1)
    columns = np.arange(votes.shape[1])
    return votes[order[place, columns], columns]


def _normalised(values: Floats) -> Floats:
    total = values.sum()
    return values / total if total else values


def _or_one(sums: Floats) -> Floats:
    return np.where(sums == 0, 1.0, sums)
