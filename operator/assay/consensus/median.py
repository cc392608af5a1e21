"""Consensus: the stake-weighted median of each column of weights.

Owns: section 3.6 of the specification. Must never bisect: a tie at exactly kappa has one right answer.
"""

import numpy as np

from assay.consensus.numbers import Raws, normalize


def weighted_median_columns(stake: Raws, weights: Raws, kappa: int) -> Raws:
    """For each column the first weight, ascending, at which the cumulative stake exceeds `sum(stake) - kappa`.

    That is the largest weight that validators with at least kappa of the stake give or exceed. Where no cumulative
    stake exceeds it (kappa = 0), the largest weight.

    Args:
        stake: V active stakes, each > 0; normalised once more here, as the chain does.
        weights: V x n; a weight that was not set counts as 0.
        kappa: raw in [0, 1].
    """
    voters, n = weights.shape
    if voters == 0:
        return np.zeros(n, np.int64)
    share = normalize(stake)
    minority = int(share.sum()) - kappa
    # One sort instead of sort and argsort: the voter's number rides in the low bits. Among equal weights the order does
    # not matter, since the answer is the weight.
    bits = max(1, (voters - 1).bit_length())
    keys = np.left_shift(weights.T, bits, order="C")
    keys |= np.arange(voters)
    keys.sort(axis=1)
    cumulative = share[keys & ((1 << bits) - 1)].cumsum(axis=1)
    exceeds = cumulative > minority
    place = np.where(exceeds[:, -1], exceeds.argmax(axis=1), voters - 1)
    return np.asarray(keys[np.arange(n), place] >> bits)
