"""Several mechanisms in one subnet: each has an epoch of its own on its part of the emission.

Owns: section 3.15 of the specification. Invariant: the parts of the emission add up to the whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from assay.consensus.epoch import run_epoch
from assay.consensus.numbers import U16_MAX, Raws
from assay.consensus.result import EpochResult
from assay.consensus.state import EpochState

MECHANISMS_MAX: Final = 16
_SUBNETS_MAX: Final = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class SubnetResult:
    """What is stored per subnet; incentive and bonds stay with the mechanism that computed them."""

    mechanisms: tuple[EpochResult, ...]
    active: NDArray[np.bool_]
    """Active in any mechanism."""
    new_validator_permits: NDArray[np.bool_]
    """Permitted by any mechanism."""
    server_emission: NDArray[np.uint64]
    """Sum over the mechanisms, as are validator emissions."""
    validator_emission: NDArray[np.uint64]
    combined_emission: NDArray[np.uint64]
    """What pruning reads: the mechanisms' emissions weighted by their part of the emission, as are the u16 vectors."""
    consensus_u16: Raws
    dividends_u16: Raws
    validator_trust_u16: Raws
    stake_weight_u16: Raws


def storage_index(netuid: int, mechanism_id: int) -> int:
    """The chain's key of a mechanism's weights, bonds, incentive and last updates."""
    return mechanism_id * _SUBNETS_MAX + netuid


def split_emission(amount: int, mechanisms: int, split_u16: Sequence[int] | None = None) -> tuple[int, ...]:
    """`amount` units over the mechanisms: by `split_u16` (which sums to 65535), or evenly; remainders go to the first.

    A split of another length than `mechanisms` counts as none. Raises ValueError for one that hands out too much.
    """
    if not 1 <= mechanisms <= MECHANISMS_MAX:
        raise ValueError(f"split_emission: {mechanisms} mechanisms; a subnet has 1 to {MECHANISMS_MAX}")
    if split_u16 is not None and len(split_u16) == mechanisms:
        parts = [amount * share // U16_MAX for share in split_u16]
        if sum(parts) > amount or min(split_u16) < 0:
            raise ValueError(f"split_emission: {list(split_u16)} sums to {sum(split_u16)}; u16 shares sum to {U16_MAX}")
    else:
        parts = [amount // mechanisms] * mechanisms
    parts[0] += amount - sum(parts)
    return tuple(parts)


def run_mechanisms(
    states: Sequence[EpochState], rao_emission: int, split_u16: Sequence[int] | None = None
) -> SubnetResult:
    """The epochs of all mechanisms of a subnet, and what they make together.

    Args:
        states: one a mechanism, alike in stake, permits and registration; their own `rao_emission` is not read.
        rao_emission: of the subnet.
        split_u16: the subnet's `MechanismEmissionSplit`, None for an even one.
    """
    if len({state.n for state in states}) > 1:
        raise ValueError(f"run_mechanisms: {[state.n for state in states]} uids; mechanisms of a subnet share its uids")
    parts = split_emission(rao_emission, len(states), split_u16)
    results = [run_epoch(replace(state, rao_emission=part)) for state, part in zip(states, parts, strict=True)]
    # With nothing to hand out the first mechanism has full weight.
    shares = [(part << 64) // rao_emission if rao_emission else int(k == 0) << 64 for k, part in enumerate(parts)]
    return SubnetResult(
        mechanisms=tuple(results),
        active=np.logical_or.reduce([result.active for result in results]),
        new_validator_permits=np.logical_or.reduce([result.new_validator_permits for result in results]),
        server_emission=np.sum([result.server_emission for result in results], axis=0, dtype=np.uint64),
        validator_emission=np.sum([result.validator_emission for result in results], axis=0, dtype=np.uint64),
        combined_emission=np.array(
            _accumulated([result.combined_emission.tolist() for result in results], shares), np.uint64
        ),
        consensus_u16=_weighted_u16([result.consensus_u16 for result in results], shares),
        dividends_u16=_weighted_u16([result.dividends_u16 for result in results], shares),
        validator_trust_u16=_weighted_u16([result.validator_trust_u16 for result in results], shares),
        stake_weight_u16=_weighted_u16([result.stake_weight_u16 for result in results], shares),
    )


def _weighted_u16(vectors: list[Raws], shares: list[int]) -> Raws:
    return np.array(_accumulated([vector.tolist() for vector in vectors], shares), np.int64)


def _accumulated(vectors: list[list[int]], shares: list[int]) -> list[int]:
    """Element-wise sum of `floor(value * share)`, floored after each mechanism as the chain does (U64F64 shares)."""
    sums = [0] * len(vectors[0])
    for vector, share in zip(vectors, shares, strict=True):
        sums = [total + (value * share >> 64) for total, value in zip(sums, vector, strict=True)]
    return sums
