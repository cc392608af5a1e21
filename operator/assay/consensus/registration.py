"""Who may come in, and who has to go.

Owns: sections 5.4 and 3.16 of the specification: the price of a place, immunity, the order of pruning, and what becomes
of the rows of a replaced neuron. Pure: storage vectors in, a decision or new rows out.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from assay.consensus.numbers import HALF, ONE

BURN_INCREASE_1_26: Final = 0x1_428F_5C28_F5C2_9000
"""1.26 as U64F64 (the double nearest to it, exactly)."""

Rows = Mapping[int, Mapping[int, int]]
"""uid -> uid -> u16, as weights and bonds are stored."""


@dataclass(frozen=True, kw_only=True)
class PlaceRules:
    """The subnet's settings on its places; defaults are those of a new subnet."""

    max_allowed_uids: int = 256
    immunity_period_blocks: int = 5000
    min_non_immune_uids: int = 10
    """As long as no more neurons than this have lost their immunity, an immune one is pruned instead."""
    min_allowed_uids: int = 64
    max_immune_percent: int = 80


@dataclass(frozen=True)
class Place:
    """Where a newcomer goes; `replaces` tells whether the uid's neuron is pruned for it."""

    uid: int
    replaces: bool


def is_immune(block_at_registration: int, current_block: int, immunity_period_blocks: int) -> bool:
    """Whether a neuron is too young to be pruned first."""
    return max(0, current_block - block_at_registration) < immunity_period_blocks


def immune_until(block_at_registration: int, immunity_period_blocks: int) -> int:
    """The first block at which the neuron is no longer immune."""
    return block_at_registration + immunity_period_blocks


def pruning_order(
    combined_emission: Sequence[int], block_at_registration: Sequence[int], protected: Collection[int] = ()
) -> tuple[int, ...]:
    """All uids but the protected, first to go first: by emission of the last epoch, block of registration, uid.

    Validators and miners stand on one scale. An emission that is missing counts as 0.
    """
    paid = [*combined_emission, *[0] * (len(block_at_registration) - len(combined_emission))]
    candidates = (uid for uid in range(len(block_at_registration)) if uid not in protected)
    return tuple(sorted(candidates, key=lambda uid: (paid[uid], block_at_registration[uid], uid)))


def uid_to_prune(
    combined_emission: Sequence[int],
    block_at_registration: Sequence[int],
    *,
    current_block: int,
    rules: PlaceRules,
    protected: Collection[int] = (),
) -> int | None:
    """The neuron that makes room, None if nobody may be pruned.

    The first non-immune one, if more than `min_non_immune_uids` are non-immune; otherwise the first immune one.
    """
    order = pruning_order(combined_emission, block_at_registration, protected)
    period = rules.immunity_period_blocks
    immune = [uid for uid in order if is_immune(block_at_registration[uid], current_block, period)]
    exposed = [uid for uid in order if not is_immune(block_at_registration[uid], current_block, period)]
    if len(exposed) > rules.min_non_immune_uids:
        return exposed[0]
    return immune[0] if immune else None


def place_for_newcomer(
    combined_emission: Sequence[int],
    block_at_registration: Sequence[int],
    *,
    current_block: int,
    rules: PlaceRules,
    protected: Collection[int] = (),
) -> Place | None:
    """The next free uid, or that of the neuron to prune; None if the registration fails (`NoNeuronIdAvailable`)."""
    n = len(block_at_registration)
    if n < rules.max_allowed_uids:
        return Place(n, replaces=False)
    pruned = uid_to_prune(
        combined_emission, block_at_registration, current_block=current_block, rules=rules, protected=protected
    )
    return None if pruned is None else Place(pruned, replaces=True)


def uids_to_trim(
    combined_emission: Sequence[int],
    block_at_registration: Sequence[int],
    max_uids: int,
    *,
    current_block: int,
    rules: PlaceRules,
    protected: Collection[int] = (),
) -> tuple[int, ...]:
    """The uids that go when a subnet is shrunk to `max_uids`, lowest emission first (of equal ones the higher uid).

    Raises ValueError if `max_uids` is out of bounds or immune neurons would make up `max_immune_percent` of the places.
    """
    if not rules.min_allowed_uids <= max_uids <= rules.max_allowed_uids:
        bounds = f"{rules.min_allowed_uids}..{rules.max_allowed_uids}"
        raise ValueError(f"trim: max_uids {max_uids} is not in {bounds}")
    n = len(block_at_registration)
    period = rules.immunity_period_blocks
    stays = {
        uid for uid in range(n) if uid in protected or is_immune(block_at_registration[uid], current_block, period)
    }
    if n > max_uids and 100 * len(stays) >= rules.max_immune_percent * max_uids:
        limit = rules.max_immune_percent
        raise ValueError(f"trim: {len(stays)} immune neurons of {max_uids} places; they must be less than {limit} %")
    lowest_first = sorted(range(n), key=lambda uid: (combined_emission[uid], -uid))
    leaving = [uid for uid in lowest_first if uid not in stays]
    return tuple(leaving[: max(0, n - max_uids)])


def rows_after_replacement(weights: Rows, bonds: Rows, uid: int) -> tuple[dict[int, dict[int, int]], ...]:
    """Weights and bonds once `uid` belongs to another neuron: its own rows gone, weights for it 0 with the entry kept.

    Bonds held in it stay: the next epoch drops them, because it was registered since the last.
    """
    new_weights = {i: {j: 0 if j == uid else w for j, w in row.items()} for i, row in weights.items() if i != uid}
    return new_weights, {i: dict(row) for i, row in bonds.items() if i != uid}


def bonds_after_reset(bonds: Rows, uid: int) -> dict[int, dict[int, int]]:
    """Bonds once miner `uid` has asked for a reset: it is removed from every row."""
    return {i: {j: bond for j, bond in row.items() if j != uid} for i, row in bonds.items()}


def burn_after_registration(burn: int, min_burn: int, max_burn: int, increase_u64f64: int = BURN_INCREASE_1_26) -> int:
    """The price of the next place: this one times the increase (at least 1), floored, within [min_burn, max_burn]."""
    return min(max((burn * max(increase_u64f64, 1 << 64)) >> 64, min_burn), max_burn)


def burn_after_block(burn: int, min_burn: int, max_burn: int, half_life_blocks: int = 360) -> int:
    """The price one block later: it halves every `half_life_blocks` (0: never), within [min_burn, max_burn]."""
    return min(max((burn * decay_factor(half_life_blocks)) >> 32, min_burn), max_burn)


def decay_factor(half_life_blocks: int) -> int:
    """The largest factor (32 fraction bits) whose `half_life_blocks`-th power is at most one half; 1 for no decay."""
    if half_life_blocks == 0:
        return ONE
    low, high = 0, ONE
    while low + 1 < high:
        middle = (low + high) >> 1
        if _power(middle, half_life_blocks) > HALF:
            high = middle
        else:
            low = middle
    return low


def _power(factor: int, exponent: int) -> int:
    """By squaring, each product floored: the order of the products decides the last digit."""
    result = ONE
    while exponent:
        if exponent & 1:
            result = (result * factor) >> 32
        exponent >>= 1
        factor = (factor * factor) >> 32
    return result
