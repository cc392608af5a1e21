"""Handing out an amount to the last unit.

Owns: the split that the chain leaves open, since its emissions are floors and add up to a little less than the amount.
Invariant: nothing is lost and nothing created.
"""

from typing import Literal

from assay.consensus.result import EpochResult

Share = Literal["combined", "server", "validator"]


def payouts(result: EpochResult, amount: int, share: Share = "combined") -> tuple[int, ...]:
    """`amount` units split over all uids in proportion to their normalised emission.

    Each gets the floor of its quota; the units left over go one each to the largest remainders, ties to the lower uid.
    The parts sum to `amount`, unless no uid has a share (nobody has stake): then all are 0, the amount stays undivided.

    Args:
        result: of the epoch.
        amount: units, >= 0.
        share: `server` and `validator` split by incentive or dividends alone, for budgets kept apart.
    """
    if amount < 0:
        raise ValueError(f"payouts: amount {amount} < 0; an epoch hands out a whole number of units")
    parts = {
        "combined": result.normalised_combined_emission_raw,
        "server": result.normalised_server_emission_raw,
        "validator": result.normalised_validator_emission_raw,
    }
    return largest_remainder(tuple(parts[share].tolist()), amount)


def largest_remainder(weights: tuple[int, ...], amount: int) -> tuple[int, ...]:
    """`amount` split in proportion to `weights` (whole, >= 0) by largest remainder, ties to the lower index.

    Sums to `amount`; all zero if every weight is 0.
    """
    total = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    quotas = [divmod(amount * weight, total) for weight in weights]
    shares = [whole for whole, _ in quotas]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-quotas[index][1], index))
    for index in by_remainder[: amount - sum(shares)]:
        shares[index] += 1
    return tuple(shares)
