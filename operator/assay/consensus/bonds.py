"""Bonds: what a validator holds in the miners it backs, and the dividends they earn.

Owns: sections 3.9 to 3.11 of the specification. Must never sum before flooring. Invariant: an entry that is present
with value zero stays distinct from an absent one, because under liquid alpha only present entries keep their bond.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assay.consensus.numbers import (
    HALF,
    ONE,
    Raws,
    div_int,
    div_unit,
    exp_safe,
    inverse,
    mul,
    mul_unit,
    normalize,
    u16_proportion,
    u16_to_proportion,
)
from assay.consensus.rows import SparseRows
from assay.consensus.state import EpochState, Hyperparameters

_BLOCK_OF_ENTRIES: Final = 1 << 14
"""Entries whose liquid alpha is computed at a time: a dozen arrays of this size stay in the second-level cache."""


@dataclass(frozen=True, eq=False)
class Backing:
    """What bonds are computed from: V rows of n, one row for each uid in `uids`.

    `weights` are W after masks and normalisation, `clipped` is min(W, C); `entries` are W's present entries in the
    order in which they are stored.
    """

    uids: NDArray[np.int64]
    weights: Raws
    clipped: Raws
    entries: SparseRows
    consensus: Raws
    incentive: Raws
    active_stake: Raws
    """By row, not by uid."""


@dataclass(frozen=True, eq=False)
class Bonds:
    """`dividends` by uid; `ema` as they are stored before quantisation."""

    weights_for_bonds: Raws
    dividends: Raws
    ema: SparseRows


def bonds_and_dividends(state: EpochState, backing: Backing) -> Bonds:
    """Dispatch on the subnet's Yuma version."""
    return _yuma3(state, backing) if state.hyperparameters.yuma3_on else _classic(state, backing)


def weights_for_bonds(backing: Backing, bonds_penalty_u16: int) -> Raws:
    """3.9: W moved towards the clipped W by the bonds penalty. An entry that is not present is 0."""
    beta = u16_proportion(bonds_penalty_u16)
    if beta == 0:
        return backing.weights
    if beta == ONE:
        return backing.clipped
    return np.asarray(np.maximum(backing.weights + mul(backing.clipped - backing.weights, beta), 0))


def bonds_alpha(bonds_moving_average: int) -> int:
    """3.10(3): how much of the new a plain moving average takes, `1 - bonds_moving_average / 10^6`."""
    return ONE - (bonds_moving_average << 32) // 1_000_000


def _stored_bonds(state: EpochState) -> SparseRows:
    """Without those to uids registered since the last epoch: they were held in another neuron."""
    recent = state.block_at_registration >= np.uint64(state.last_tempo)
    return state.bonds.where(~recent[state.bonds.columns]) if recent.any() else state.bonds


# ---- 3.10 Yuma3 ----------------------------------------------------------------------------------------------------


def _yuma3(state: EpochState, backing: Backing) -> Bonds:
    settings = state.hyperparameters
    new = weights_for_bonds(backing, settings.bonds_penalty_u16)
    stored = _stored_bonds(state)
    old = u16_to_proportion(stored.dense(backing.uids))
    if settings.liquid_alpha_on and backing.consensus.any():
        ema = _liquid_ema(state, backing, new, old, stored)
        matrix = ema.dense(backing.uids)
    else:
        matrix = _plain_ema(new, old, bonds_alpha(settings.bonds_moving_average))
        ema = SparseRows.from_dense(matrix, matrix > 0, backing.uids, state.n)
    shares = div_unit(matrix, matrix.sum(axis=0))
    held = mul_unit(shares, backing.incentive).sum(axis=1)
    dividends = normalize(mul(held, backing.active_stake))
    return Bonds(new, _by_uid(dividends, backing.uids, state.n), ema)


def _plain_ema(new: Raws, old: Raws, alpha: int) -> Raws:
    """`floor(alpha*new) + floor((1 - alpha)*old)`."""
    return mul_unit(new, np.array(alpha)) + mul_unit(old, np.array(ONE - alpha))


def _liquid_ema(state: EpochState, backing: Backing, new: Raws, old: Raws, stored: SparseRows) -> SparseRows:
    """One alpha a pair, entries only where the new weights have one: a bond without a vote is gone at once."""
    settings = state.hyperparameters
    entries = _entries_for_bonds(backing, settings.bonds_penalty_u16, new, state.n)
    places, _ = entries.places(backing.uids)
    compared = state.previous_consensus if settings.liquid_alpha_reads_previous else backing.consensus
    seen_new = _seen_by_liquid_alpha(entries, new, places)
    seen_old = old.ravel() if stored.is_ascending() else _seen_old(stored, backing, state.n).ravel()
    bonds = np.empty(len(places), np.int64)
    for start in range(0, len(places), _BLOCK_OF_ENTRIES):
        part = slice(start, start + _BLOCK_OF_ENTRIES)
        place = places[part]
        alpha = liquid_alpha(compared[entries.columns[part]], seen_new[part], seen_old[place], settings)
        decayed = mul_unit(old.ravel()[place], ONE - alpha)
        bonds[part] = np.minimum(decayed + mul_unit(new.ravel()[place], alpha), ONE)
    return entries.with_values(bonds).where(bonds > 0)


def liquid_alpha(consensus: Raws, weight: Raws, bond: Raws, settings: Hyperparameters) -> Raws:
    """3.10(3): alpha between low and high, the higher the further a weight is ahead of the consensus (buying) or below
    the bond (selling).

    Arguments are raws in [0, 1] of equal length; so is the result.
    """
    low, high = u16_proportion(settings.alpha_low_u16), u16_proportion(settings.alpha_high_u16)
    # The steepness is in hundredths; the division by -100 truncates towards zero.
    numerator = settings.alpha_sigmoid_steepness << 32
    slope = -(numerator // 100) if numerator >= 0 else -numerator // 100
    buy = np.maximum(weight - consensus, 0)
    sell = np.maximum(bond - weight, 0)
    difference = np.where(weight >= bond, buy, sell)
    sigmoid = inverse(exp_safe(mul(difference - HALF, slope)) + ONE)
    return np.maximum(np.minimum(low + mul(sigmoid, high - low), high), low)


def _entries_for_bonds(backing: Backing, bonds_penalty_u16: int, new: Raws, n: int) -> SparseRows:
    """Which entries the weights for bonds have, and in which order: clipping drops those without consensus; a partial
    penalty rebuilds the rows from positive values.
    """
    beta = u16_proportion(bonds_penalty_u16)
    if beta == 0:
        return backing.entries
    if beta == ONE:
        worthless = (backing.consensus[backing.entries.columns] == 0) & (backing.entries.values > 0)
        return backing.entries.where(~worthless) if worthless.any() else backing.entries
    return SparseRows.from_dense(new, new > 0, backing.uids, n)


def _seen_by_liquid_alpha(entries: SparseRows, matrix: Raws, places: NDArray[np.int64]) -> Raws:
    """The values of `entries`, zero where the chain's walk along the row misses one.

    The chain looks values up by walking a row once while the column rises, so in a row that is not sorted it finds only
    entries whose uid exceeds all uids before it. Weight rows are stored in the order in which they were submitted.
    """
    values = matrix.ravel()[places]
    return values if entries.is_ascending() else np.where(_running_maxima(entries), values, 0)


def _seen_old(stored: SparseRows, backing: Backing, n: int) -> Raws:
    return u16_to_proportion(stored.where(_running_maxima(stored)).dense(backing.uids))


def _running_maxima(rows: SparseRows) -> NDArray[np.bool_]:
    """Whether an entry's uid exceeds every uid before it in its row."""
    # Rows apart by more than any uid make one running maximum over all entries do for each row by itself.
    spread = rows.columns + rows.row_ids() * (rows.n + 1)
    highest = np.maximum.accumulate(spread)
    return np.concatenate(([True], spread[1:] > highest[:-1]))[: len(spread)]


# ---- 3.11 Classic --------------------------------------------------------------------------------------------------


def _classic(state: EpochState, backing: Backing) -> Bonds:
    settings = state.hyperparameters
    new = weights_for_bonds(backing, settings.bonds_penalty_u16)
    stored = _stored_bonds(state).dense(backing.uids)
    old = div_int(stored, stored.sum(axis=0))
    delta = mul_unit(new, backing.active_stake[:, None])
    delta = div_unit(delta, delta.sum(axis=0))
    ema = _plain_ema(delta, old, bonds_alpha(settings.bonds_moving_average))
    ema = div_unit(ema, ema.sum(axis=0))
    dividends = normalize(mul_unit(ema, backing.incentive).sum(axis=1))
    upscaled = div_unit(ema, ema.max(axis=0, initial=0))
    rows = SparseRows.from_dense(upscaled, upscaled > 0, backing.uids, state.n)
    return Bonds(new, _by_uid(dividends, backing.uids, state.n), rows)


def _by_uid(values: Raws, uids: NDArray[np.int64], n: int) -> Raws:
    vector = np.zeros(n, np.int64)
    vector[uids] = values
    return vector
