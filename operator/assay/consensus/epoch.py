"""One epoch of Yuma Consensus, step by step, equal to the chain on every digit.

Owns: sections 3.1 to 3.8, 3.12 and 3.13 of the specification, in that order and with its names. Must never read a
clock, a file or a random number, or compute with floats: state in, result out. Invariant: the integers are those of the
chain's sparse path, which is the one that pays.

S stake, A active stake, W weights, C consensus, R ranks, I incentive, B bonds, D dividends.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from assay.consensus.bonds import Backing, Bonds, bonds_and_dividends
from assay.consensus.median import weighted_median_columns
from assay.consensus.numbers import Raws, div, mul_unit, normalize, proportion_to_u16, u16_proportion
from assay.consensus.result import EpochResult
from assay.consensus.rows import SparseRows
from assay.consensus.state import EpochState

_T = TypeVar("_T", bound=np.generic)


@dataclass(frozen=True, eq=False)
class EpochTrace:
    """The result and what led to it. Matrices have V rows, row k belonging to `uids[k]`, and n columns."""

    result: EpochResult
    permits: NDArray[np.bool_]
    """The old ones, the owner's forced: they mask this epoch."""
    uids: NDArray[np.int64]
    weights: Raws
    """W, masked and row-normalised."""
    clipped_weights: Raws
    weights_for_bonds: Raws


def run_epoch(state: EpochState) -> EpochResult:
    """The epoch of one mechanism on `state`. Never raises for a state that could be constructed."""
    return trace_epoch(state).result


def trace_epoch(state: EpochState) -> EpochTrace:
    """`run_epoch`, keeping the intermediate matrices (three of V x n int64) for whoever has to explain the result."""
    settings = state.hyperparameters

    active = active_uids(state)  # 3.1
    stake = normalised_stake(state)  # 3.2
    permits, new_permits = validator_permits(state, stake)  # 3.3
    active_stake = normalize(_masked(_masked(stake, active), permits))  # 3.4

    entries = masked_weights(state, permits)  # 3.5
    uids = np.flatnonzero((entries.counts > 0) | (state.bonds.counts > 0) | (active_stake > 0))
    weights = normalised_weights(entries, uids)
    row_stake = active_stake[uids]

    kappa = u16_proportion(settings.kappa_u16)  # 3.6
    voting = row_stake > 0
    votes = weights if voting.all() else weights[voting]
    consensus = weighted_median_columns(row_stake[voting], votes, kappa)

    clipped = np.minimum(weights, consensus)  # 3.7
    validator_trust = np.zeros(state.n, np.int64)
    validator_trust[uids] = clipped.sum(axis=1)

    ranks = mul_unit(clipped, row_stake[:, None]).sum(axis=0)  # 3.8
    incentive = normalize(ranks)

    backing = Backing(uids, weights, clipped, entries, consensus, incentive, row_stake)
    bonds = bonds_and_dividends(state, backing)  # 3.9 to 3.11
    result = _outcome(state, active, stake, active_stake, new_permits, consensus, validator_trust, incentive, bonds)
    return EpochTrace(result, permits, uids, weights, clipped, bonds.weights_for_bonds)


def active_uids(state: EpochState) -> NDArray[np.bool_]:
    """3.1: whose last update is at most `activity_cutoff_blocks` old. As long as `state.last_update`."""
    oldest = max(0, state.current_block - state.hyperparameters.activity_cutoff_blocks)
    return np.asarray(state.last_update >= np.uint64(oldest))


def normalised_stake(state: EpochState) -> Raws:
    """3.2: S, each uid's share of all stake at or above the threshold (the owner's counts at any height)."""
    threshold = state.hyperparameters.stake_threshold
    counted = [stake if stake >= threshold or uid == state.owner_uid else 0 for uid, stake in enumerate(state.stake)]
    total = sum(counted)
    # The chain divides in I64F64 and then drops 32 bits: two floors of one quotient are one floor.
    return np.array([(stake << 32) // total if total else 0 for stake in counted], np.int64)


def validator_permits(state: EpochState, stake: Raws) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """3.3: the stored permits, which mask this epoch, and the new ones, which will mask the next."""
    permits = state.validator_permits.copy()
    new_permits = top_nonzero(stake, state.hyperparameters.max_allowed_validators)
    if state.owner_uid is not None:
        permits[state.owner_uid : state.owner_uid + 1] = True
        new_permits[state.owner_uid] = True
    return permits, new_permits


def top_nonzero(values: Raws, k: int) -> NDArray[np.bool_]:
    """Which entries are not 0 and among the `k` largest; of equal ones the lower index is dropped first."""
    chosen = np.asarray(values != 0)
    surplus = max(0, len(values) - k)
    chosen[np.argsort(values, kind="stable")[:surplus]] = False
    return chosen


def masked_weights(state: EpochState, permits: NDArray[np.bool_]) -> SparseRows:
    """3.5(1-4): the stored weights without those that must not count. Explicit zeros stay."""
    weights = state.weights
    row, column = weights.row_ids(), weights.columns
    voters = _padded(permits, state.n, False)
    registered = state.block_at_registration[column]
    keep = voters[row] & ((row != column) | (row == (-1 if state.owner_uid is None else state.owner_uid)))
    keep &= _padded(state.last_update, state.n, 0)[row] > registered
    if state.hyperparameters.commit_reveal_on:
        keep &= state.commit_blocks[row] >= registered
    return weights if keep.all() else weights.where(keep)


def normalised_weights(entries: SparseRows, uids: NDArray[np.int64]) -> Raws:
    """3.5(5): W, the rows `uids` each divided by its sum."""
    weights = entries.dense(uids)
    totals = weights.sum(axis=1).tolist()
    weights <<= 32
    for k, total in enumerate(totals):
        if total:
            weights[k] //= total  # by one number: numpy makes that a multiplication
    return weights


def _masked(values: Raws, keep: NDArray[np.bool_]) -> Raws:
    """`values`, zero where `keep` is false or missing; an empty mask masks nothing (3.16: lengths may differ)."""
    return values if len(keep) == 0 else values * _padded(keep, len(values), False)


def _padded(vector: NDArray[_T], n: int, missing: int) -> NDArray[_T]:
    if len(vector) == n:
        return vector
    return np.concatenate((vector[:n], np.full(max(0, n - len(vector)), missing, vector.dtype)))


def _outcome(
    state: EpochState,
    active: NDArray[np.bool_],
    stake: Raws,
    active_stake: Raws,
    new_permits: NDArray[np.bool_],
    consensus: Raws,
    validator_trust: Raws,
    incentive: Raws,
    bonds: Bonds,
) -> EpochResult:
    """3.12 and 3.13."""
    combined = incentive + bonds.dividends
    total = int(combined.sum())
    if total:
        server, validator, combined = div(incentive, total), div(bonds.dividends, total), div(combined, total)
    else:
        server = incentive
        validator = combined = active_stake if active_stake.any() else stake
    kept = bonds.ema.where(new_permits[bonds.ema.row_ids()])
    return EpochResult(
        active=_padded(active, state.n, False),
        normalised_stake_raw=stake,
        active_stake_raw=active_stake,
        consensus_raw=consensus,
        validator_trust_raw=validator_trust,
        incentive_raw=incentive,
        dividends_raw=bonds.dividends,
        normalised_server_emission_raw=server,
        normalised_validator_emission_raw=validator,
        normalised_combined_emission_raw=combined,
        server_emission=emission(server, state.rao_emission),
        validator_emission=emission(validator, state.rao_emission),
        combined_emission=emission(combined, state.rao_emission),
        new_validator_permits=new_permits,
        ema_bonds=bonds.ema,
        bonds=kept.with_values(proportion_to_u16(kept.values)),
    )


def emission(share: Raws, amount: int) -> NDArray[np.uint64]:
    """`floor(share * amount)` of each share (raws in [0, 1]) of a u64 amount."""
    high, low = divmod(amount, 1 << 32)
    unsigned = share.astype(np.uint64)
    # A share of exactly 1 times the low half stays below 2^64.
    return unsigned * np.uint64(high) + ((unsigned * np.uint64(low)) >> np.uint64(32))
