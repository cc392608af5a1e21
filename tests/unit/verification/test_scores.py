from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.verification import FAILED, Rule, Sample, percentile_nearest_rank, quality_of, score, weight_of


def rule(tolerance: str = "0.001", target_us: int = 250_000, percent: int = 20, exponent: int = 2) -> Rule:
    return Rule(Fraction(tolerance), target_us, percent, exponent)


@pytest.mark.parametrize(
    ("distance", "quality"),
    [
        pytest.param(0.0, 1.0, id="no distance is full quality"),
        pytest.param(0.0005, 0.5, id="half the tolerance is half the quality"),
        pytest.param(0.001, 0.0, id="the tolerance is none"),
        pytest.param(5.0, 0.0, id="beyond the tolerance is none"),
        pytest.param(float("inf"), 0.0, id="infinite distance is none"),
        pytest.param(float("nan"), 0.0, id="NaN would be none"),
    ],
)
def test_quality_falls_with_distance(distance: float, quality: float) -> None:
    assert quality_of(distance, Fraction("0.001")) == pytest.approx(quality)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        pytest.param([7], 50, 7, id="one value is every percentile"),
        pytest.param([4, 1, 3, 2], 50, 2, id="the lower of the middle two"),
        pytest.param([5, 1, 4, 2, 3], 50, 3, id="the middle one"),
        pytest.param(list(range(1, 101)), 99, 99, id="the 99th of 100"),
        pytest.param(list(range(1, 33)), 99, 32, id="of 32 the last"),
    ],
)
def test_percentiles_are_nearest_rank(values: list[int], percent: int, expected: int) -> None:
    assert percentile_nearest_rank(values, percent) == expected


@pytest.mark.parametrize(
    ("quality_ppm", "p50_us", "rule", "weight"),
    [
        pytest.param(1_000_000, 100_000, rule(), 65535, id="perfect and fast enough"),
        pytest.param(1_000_000, 250_000, rule(), 65535, id="exactly on target"),
        pytest.param(1_000_000, 500_000, rule(), 58982, id="twice as slow loses half of a fifth: 58981.5 rounds up"),
        pytest.param(1_000_000, 10**12, rule(percent=100), 0, id="latency may be everything"),
        pytest.param(1_000_000, 10**12, rule(percent=0), 65535, id="latency may be nothing"),
        pytest.param(500_000, 1, rule(), 16384, id="half the quality squared: 16383.75 rounds up"),
        pytest.param(500_000, 1, rule(exponent=1), 32768, id="half of 65535 rounds up"),
        pytest.param(1, 1, rule(exponent=1), 0, id="a little quality is no weight"),
        pytest.param(0, 1, rule(percent=100), 0, id="no quality is no weight, however fast"),
        pytest.param(1_000_000, None, rule(), 0, id="no answer is no weight"),
        pytest.param(1_000_000, 0, rule(), 65535, id="a clock too coarse to see the latency"),
    ],
)
def test_weight(quality_ppm: int, p50_us: int | None, rule: Rule, weight: int) -> None:
    assert weight_of(quality_ppm, p50_us, rule) == weight


@given(
    quality_ppm=st.integers(0, 1_000_000),
    p50_us=st.integers(1, 10**10),
    target_us=st.integers(1, 10**8),
    percent=st.integers(0, 100),
    exponent=st.integers(1, 8),
)
def test_weight_is_the_documented_formula_in_exact_decimals(
    quality_ppm: int, p50_us: int, target_us: int, percent: int, exponent: int
) -> None:
    with localcontext(prec=120):
        quality, share = Decimal(quality_ppm) / 10**6, Decimal(percent) / 100
        exact = 65535 * quality**exponent * (1 - share + share * min(Decimal(1), Decimal(target_us) / p50_us))
        documented = int(exact.to_integral_value(ROUND_HALF_UP))
    assert weight_of(quality_ppm, p50_us, rule("1", target_us, percent, exponent)) == documented


SAMPLES = st.lists(
    st.one_of(st.just(FAILED), st.builds(Sample, st.floats(0, 1), st.integers(1, 10**7))), min_size=1, max_size=64
)


@given(samples=SAMPLES, seed=st.randoms())
def test_the_order_of_samples_does_not_matter(samples: list[Sample], seed: Random) -> None:
    shuffled = list(samples)
    seed.shuffle(shuffled)
    assert score(shuffled, rule()) == score(samples, rule())


@given(samples=SAMPLES)
def test_a_failure_instead_of_an_answer_never_helps(samples: list[Sample]) -> None:
    for index in range(len(samples)):
        spoilt = [*samples[:index], FAILED, *samples[index + 1 :]]
        assert score(spoilt, rule(percent=0)).weight_u16 <= score(samples, rule(percent=0)).weight_u16


@given(samples=SAMPLES)
def test_a_row_can_be_recomputed_from_its_own_integers(samples: list[Sample]) -> None:
    row = score(samples, rule())
    assert row.weight_u16 == weight_of(row.quality_ppm, row.latency_p50_us, rule())
    assert 0 <= row.weight_u16 <= 65535
    assert 0 <= row.quality_ppm <= 1_000_000


def test_a_row_counts_samples_and_failures() -> None:
    row = score([Sample(1.0, 10), Sample(0.5, 30), FAILED, Sample(0.0, 20)], rule())
    assert (row.samples, row.failures, row.quality_ppm, row.latency_p50_us, row.latency_p99_us) == (
        4,
        1,
        375_000,
        20,
        30,
    )


def test_seven_of_ten_is_exactly_seven_tenths() -> None:
    assert score([Sample(1.0, 1)] * 7 + [FAILED] * 3, rule()).quality_ppm == 700_000


def test_without_samples_everything_is_nothing() -> None:
    row = score([], rule())
    assert (row.weight_u16, row.samples, row.failures, row.quality_ppm) == (0, 0, 0, 0)
    assert row.latency_p50_us is None
    assert row.latency_p99_us is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"tolerance": "0"}, "tolerance: 0 is not above 0", id="no tolerance"),
        pytest.param({"target_us": 0}, "latency target: 0 us", id="no time at all"),
        pytest.param({"percent": 101}, "latency weight: 101 %", id="more than everything"),
        pytest.param({"exponent": 0}, "exponent: 0", id="quality would not count"),
    ],
)
def test_a_rule_without_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rule(**changes)
