"""Each fixed-point primitive against the same expression on Python's unbounded integers: 20,000 pairs and all edges."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from assay.consensus.numbers import (
    EXP_LIMIT,
    EXP_OF_ONE,
    HALF,
    ONE,
    div,
    div_int,
    div_unit,
    exp_safe,
    inverse,
    mul,
    mul_unit,
    mul_wide,
    normalize,
    proportion_to_u16,
    u16_proportion,
    u16_to_proportion,
)
from assay.consensus.registration import BURN_INCREASE_1_26
from yuma_support import oracle

PAIRS = 20_000
UNIT_EDGES = (0, 1, 2, 65535, 65536, HALF - 1, HALF, HALF + 1, ONE - 65536, ONE - 1, ONE)


def _whole_numbers(low_bits: int, high_bits: int, seed: int) -> np.ndarray:
    """Magnitudes spread evenly over the powers of two from `low_bits` to `high_bits`."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(low_bits, high_bits, PAIRS, endpoint=True)
    return np.array([int(rng.integers(1 << bit >> 1, 1 << bit, endpoint=True)) for bit in bits.tolist()], np.int64)


def _signs(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array([-1, 1]), PAIRS)


def _pairs(a: np.ndarray, b: np.ndarray, edges: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    yield a, b
    grid = np.array([(x, y) for x in edges for y in edges], np.int64)
    yield grid[:, 0].copy(), grid[:, 1].copy()


def _same(
    function: Callable[..., np.ndarray], expression: Callable[[int, int], int], a: np.ndarray, b: np.ndarray
) -> None:
    expected = [expression(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)]
    assert function(a, b).tolist() == expected


def test_mul_floors_towards_minus_infinity_for_either_sign() -> None:
    a, b = _whole_numbers(0, 45, 1) * _signs(2), _whole_numbers(0, 33, 3) * _signs(4)
    for x, y in _pairs(a, b, (0, 1, -1, 65535, -65536, HALF, -HALF, ONE, -ONE, ONE + 1, (1 << 45), -(1 << 45))):
        in_range = np.array([abs(p * q) < 1 << 78 for p, q in zip(x.tolist(), y.tolist(), strict=True)])
        _same(mul, lambda p, q: (p * q) >> 32, x[in_range], y[in_range])


def test_mul_of_an_exponents_slope_and_a_difference_is_exact() -> None:
    slope = _whole_numbers(0, 41, 5) * _signs(6)
    difference = np.random.default_rng(7).integers(-HALF, HALF, PAIRS, endpoint=True)
    _same(mul, lambda p, q: (p * q) >> 32, difference, slope)


def test_mul_unit_is_exact_on_proportions_and_at_one() -> None:
    a, b = _whole_numbers(0, 32, 8), _whole_numbers(0, 32, 9)
    for x, y in _pairs(a, b, UNIT_EDGES):
        _same(mul_unit, lambda p, q: (p * q) >> 32, x, y)


def test_mul_unit_broadcasts_a_vector_over_a_matrix() -> None:
    matrix = np.array([[ONE, HALF, 1], [ONE - 1, ONE, 0]])
    assert mul_unit(matrix, np.array([ONE, ONE - 1, 7])).tolist() == [[ONE, HALF - 1, 0], [ONE - 1, ONE - 1, 0]]
    assert mul_unit(matrix, np.array(ONE)).tolist() == matrix.tolist()
    assert mul_unit(np.zeros((0, 3), np.int64), np.zeros(3, np.int64)).shape == (0, 3)


def test_mul_wide_is_exact_whenever_the_result_fits() -> None:
    a, b = _whole_numbers(0, 57, 10) * _signs(11), _whole_numbers(0, 37, 12) * _signs(13)
    for x, y in _pairs(a, b, (0, 1, -1, HALF, -ONE, ONE + 1, (1 << 46) - 1, -(1 << 46))):
        _same(mul_wide, lambda p, q: (p * q) >> 32, x, y)


def test_div_truncates_towards_zero_and_gives_zero_for_a_zero_divisor() -> None:
    a, b = _whole_numbers(0, 33, 14) * _signs(15), _whole_numbers(3, 46, 16) * _signs(17)
    for x, y in _pairs(a, b, (0, 1, -1, 7, -7, 65536, HALF - 1)):
        _same(div, oracle.div, x, y)


def test_div_unit_floors_and_is_exact_for_a_dividend_of_one() -> None:
    a, b = _whole_numbers(0, 32, 18), _whole_numbers(3, 45, 19)
    for x, y in _pairs(a, b, (0, 3, 4, 65536, HALF, ONE - 1, ONE)):
        _same(div_unit, oracle.div, x, y)
    everything = np.full(PAIRS, ONE)
    _same(div_unit, oracle.div, everything, b)


def test_div_int_floors_the_quotient_of_plain_integers() -> None:
    a, b = _whole_numbers(0, 16, 20), _whole_numbers(0, 31, 21)
    for x, y in _pairs(a, b, (0, 1, 2, 65535, (1 << 31) - 1)):
        _same(div_int, lambda p, q: (p << 32) // q if q else 0, x, y)


def test_inverse_is_exact_at_powers_of_two_and_beside_them() -> None:
    powers = np.array([1 << bit for bit in range(2, 63)])
    for x in (powers, powers - 1, powers + 1, _whole_numbers(3, 62, 22)):
        assert inverse(x).tolist() == [2**64 // value for value in x.tolist()]


def test_normalize_divides_by_the_sum_and_leaves_zeros_alone() -> None:
    for values in (_whole_numbers(0, 32, 23)[:4000], np.zeros(5, np.int64), np.array([ONE])):
        assert normalize(values).tolist() == oracle.normalized(values.tolist())


def test_proportions_become_u16_by_floor_and_saturate() -> None:
    edges = [0, 1, -1, -ONE, HALF, ONE - 1, ONE, ONE + 1, 65535 * ONE, 1 << 62]
    around = [(k << 32) // 65535 + d for k in (1, 32766, 32767, 32768, 65534) for d in (-1, 0, 1, 2)]
    raws = np.array(edges + around + _whole_numbers(0, 33, 24).tolist())
    assert proportion_to_u16(raws).tolist() == [oracle.u16(raw) for raw in raws.tolist()]


def test_every_u16_becomes_the_floor_of_its_proportion() -> None:
    every = np.arange(65536)
    assert u16_to_proportion(every).tolist() == [u16_proportion(v) for v in range(65536)]
    assert u16_proportion(65535) == ONE
    assert u16_proportion(32767) < HALF < u16_proportion(32768)


@pytest.mark.parametrize("limit", [10 * ONE, 25 * ONE], ids=["within the narrow series", "over the whole range"])
def test_exp_safe_is_the_librarys_series_digit_for_digit(limit: int) -> None:
    rng = np.random.default_rng(25)
    near_zero = rng.integers(-1000, 1000, PAIRS // 4)
    x = np.concatenate(
        (rng.integers(-limit, limit, PAIRS, endpoint=True), near_zero, [0, ONE, -ONE, HALF, limit, -limit])
    )
    assert exp_safe(x).tolist() == [oracle.exp_safe(value) for value in x.tolist()]


def test_exp_safe_clamps_and_takes_the_constant_only_at_plus_one() -> None:
    x = np.array([EXP_LIMIT, EXP_LIMIT + 1, 1 << 62, -EXP_LIMIT, -(1 << 62)])
    result = exp_safe(x).tolist()
    assert result[0] == result[1] == result[2]
    assert result[3] == result[4]
    assert exp_safe(np.array([ONE])).tolist() == [EXP_OF_ONE]
    assert exp_safe(np.array([ONE - 1]))[0] != EXP_OF_ONE
    assert exp_safe(np.zeros(0, np.int64)).tolist() == []


def test_the_burn_increase_is_the_double_nearest_to_1_26() -> None:
    assert Fraction(1.26) * 2**64 == BURN_INCREASE_1_26
