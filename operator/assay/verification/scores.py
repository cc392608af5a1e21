"""From one miner's samples to its row in the ScoreReport.

Owns the score rule: quality of a sample, latency percentiles, weight. All that is stored is an integer, and the weight
follows from the stored quality and latency by integer arithmetic alone, so anyone can recompute a row of a report.
Never looks at a clock: latencies are given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

U16_MAX = 65535
PPM = 1_000_000


@dataclass(frozen=True)
class Rule:
    """What a ValidatorPolicy says under `spec.scoring`.

    `tolerance` > 0: the distance at which quality reaches 0. `latency_target_us` >= 1. `latency_weight_percent` in
    0..100. `exponent` >= 1: how sharply quality counts.
    """

    tolerance: Fraction
    latency_target_us: int
    latency_weight_percent: int
    exponent: int

    def __post_init__(self) -> None:
        if self.tolerance <= 0:
            raise ValueError(f"tolerance: {self.tolerance} is not above 0")
        if self.latency_target_us < 1:
            raise ValueError(f"latency target: {self.latency_target_us} us is below 1 us")
        if not 0 <= self.latency_weight_percent <= 100:
            raise ValueError(f"latency weight: {self.latency_weight_percent} % is not within 0..100")
        if self.exponent < 1:
            raise ValueError(f"exponent: {self.exponent} is below 1")


@dataclass(frozen=True)
class Sample:
    """One judged request. `quality` in 0..1, 0 for a failure; `latency_us` is None for a failure."""

    quality: float
    latency_us: int | None

    @property
    def failed(self) -> bool:
        """No usable answer came in time, as opposed to one that is far from the expected."""
        return self.latency_us is None


FAILED = Sample(quality=0.0, latency_us=None)


@dataclass(frozen=True)
class MinerScore:
    """A row of a ScoreReport without the miner's UID. Latencies are None if every sample failed."""

    weight_u16: int
    samples: int
    failures: int
    quality_ppm: int
    latency_p50_us: int | None
    latency_p99_us: int | None


def quality_of(distance: float, tolerance: Fraction) -> float:
    """clamp(1 - distance / tolerance, 0, 1); an infinite distance has quality 0."""
    if not math.isfinite(distance):
        return 0.0
    return float(min(max(1 - Fraction(distance) / tolerance, Fraction(0)), Fraction(1)))


def percentile_nearest_rank(values: Sequence[int], percent: int) -> int:
    """The smallest of `values` (not empty) that is no less than `percent` (1..100) of them."""
    return sorted(values)[max(-(-percent * len(values) // 100), 1) - 1]


def weight_of(quality_ppm: int, latency_p50_us: int | None, rule: Rule) -> int:
    """round_half_up(65535 * quality^exponent * (1 - w + w * min(1, target / p50))), in 0..65535.

    w is the latency's share. 0 where quality is 0 or no sample was answered.
    """
    if quality_ppm == 0 or latency_p50_us is None:
        return 0
    p50_us, percent = max(latency_p50_us, 1), rule.latency_weight_percent
    latency = (100 - percent) * p50_us + percent * min(rule.latency_target_us, p50_us)
    exact = Fraction(quality_ppm, PPM) ** rule.exponent * Fraction(U16_MAX * latency, 100 * p50_us)
    return math.floor(exact + Fraction(1, 2))


def score(samples: Sequence[Sample], rule: Rule) -> MinerScore:
    """The row for `samples`, whose order does not matter. Without samples everything is 0."""
    latencies_us = [sample.latency_us for sample in samples if sample.latency_us is not None]
    # fsum rounds the exact sum once, so the order in which answers came cannot show.
    total = Fraction(math.fsum(sample.quality for sample in samples))
    quality_ppm = int(total * PPM / len(samples)) if samples else 0
    p50_us = percentile_nearest_rank(latencies_us, 50) if latencies_us else None
    return MinerScore(
        weight_u16=weight_of(quality_ppm, p50_us, rule),
        samples=len(samples),
        failures=sum(sample.failed for sample in samples),
        quality_ppm=quality_ppm,
        latency_p50_us=p50_us,
        latency_p99_us=percentile_nearest_rank(latencies_us, 99) if latencies_us else None,
    )
