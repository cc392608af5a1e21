"""Comparing answers and scoring miners. Pure - numpy only.

Invariant: the same numbers in give the same numbers out, on any machine and in any order of the samples; nothing that
a miner can send (NaN, infinities, other shapes or types) leaves as anything but a failure of that one sample.
"""

from assay.verification.comparisons import Flaw, InvalidReference, Metric, Verdict, check_reference, compare
from assay.verification.scores import (
    FAILED,
    MinerScore,
    Rule,
    Sample,
    percentile_nearest_rank,
    quality_of,
    score,
    weight_of,
)

__all__ = [
    "FAILED",
    "Flaw",
    "InvalidReference",
    "Metric",
    "MinerScore",
    "Rule",
    "Sample",
    "Verdict",
    "check_reference",
    "compare",
    "percentile_nearest_rank",
    "quality_of",
    "score",
    "weight_of",
]
