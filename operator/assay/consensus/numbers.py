"""Fixed-point primitives on numpy int64, with the rounding rules of the chain.

Owns: the arithmetic of `I32F32` numbers held as *raws* (value = raw / 2^32 in an int64), and the conversions to and
from `u16` proportions. Must never use a float: a stake-weighted median flips on one unit in the last place.
Invariant: every function equals the same expression on unbounded Python integers within the range its docstring states;
outside that range the result is undefined, so callers keep to it (all quantities of an epoch do).

Multiplication floors towards minus infinity, division truncates towards zero, a sum is an exact sum of raws.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Raws: TypeAlias = NDArray[np.int64]
"""An array of I32F32 bit patterns."""

ONE: Final = 1 << 32
HALF: Final = 1 << 31
U16_MAX: Final = 65535
I32F32_MAX: Final = (1 << 63) - 1
I32F32_MIN: Final = -(1 << 63)

EXP_OF_ONE: Final = 11674931200
"""exp(+1) is not computed by the chain's library but taken from a constant with 23 fraction bits."""
EXP_LIMIT: Final = 20 * ONE
_EXP_NARROW_LIMIT: Final = 10 * ONE
_EXP_LAST_TERM: Final = 31

_U64_MAX: Final = np.uint64(2**64 - 1)
_SHIFT_32: Final = np.uint64(32)


def mul(a: Raws | int, b: Raws | int) -> Raws:
    """`floor(a*b / 2^32)`, either sign, for |a| < 2^46 and |a*b| < 2^78.

    With b = h*2^16 + l (h floored, l >= 0) the product is a*h*2^16 + a*l; shifting in two steps of 16 loses nothing,
    because floor((x + floor(y)) / 2^16) = floor((x + y) / 2^16) for an integer x.
    """
    wide_a, wide_b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return np.asarray((wide_a * (wide_b >> 16) + ((wide_a * (wide_b & 0xFFFF)) >> 16)) >> 16)


def mul_unit(a: Raws, b: Raws) -> Raws:
    """`floor(a*b / 2^32)` for 0 <= a, b <= 1 (raws up to 2^32), in two passes instead of `mul`'s seven.

    The product fits an uint64 except for 1*1, which wraps to zero; that one case is put back. Pass the smaller array
    as `b`: only its maximum is looked at.
    """
    product = (a.view(np.uint64) * b.view(np.uint64)) >> _SHIFT_32
    result = product.view(np.int64)
    if b.size and int(b.max()) >= ONE:
        result |= a & b & ONE
    return result


def mul_wide(a: Raws | int, b: Raws | int) -> Raws:
    """`floor(a*b / 2^32)`, either sign, whenever the result fits an int64.

    The partial products may wrap, but modulo 2^64 their sum is the result.
    """
    wide_a, wide_b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    low_a, low_b = wide_a & 0xFFFFFFFF, wide_b & 0xFFFFFFFF
    low = (low_a.astype(np.uint64) * low_b.astype(np.uint64)) >> _SHIFT_32
    return np.asarray((wide_a >> 32) * wide_b + low_a * (wide_b >> 32) + low.astype(np.int64))


def div(a: Raws | int, b: Raws | int) -> Raws:
    """`trunc(a*2^32 / b)`, zero where b is zero (the chain's `safe_div`), for |b| < 2^47 and a result in an int64.

    Long division in base 2^16 on the magnitudes.
    """
    signed_a, signed_b = np.broadcast_arrays(np.asarray(a, np.int64), np.asarray(b, np.int64))
    size_a, size_b = np.abs(signed_a), np.maximum(np.abs(signed_b), 1)
    high, rest = np.divmod(size_a, size_b)
    middle, rest = np.divmod(rest << 16, size_b)
    size = (high << 32) + (middle << 16) + (rest << 16) // size_b
    return np.where(signed_b == 0, 0, np.where((signed_a < 0) ^ (signed_b < 0), -size, size))


def div_unit(a: Raws, b: Raws) -> Raws:
    """`floor(a*2^32 / b)` for 0 <= a <= 1 and b >= 0, zero where b is zero; one 64-bit division an element.

    The result must be below 2^31 as a number, which any b of at least 3 raws makes sure of.
    """
    divisor = np.maximum(b, 1).view(np.uint64)
    result: Raws = ((a.view(np.uint64) << _SHIFT_32) // divisor).view(np.int64)
    if a.size and int(a.max()) >= ONE:
        ones = a == ONE
        result[ones] = inverse(np.broadcast_to(divisor.view(np.int64), a.shape)[ones])
    if b.size and int(b.min()) <= 0:
        result *= b > 0
    return result


def div_int(a: Raws, b: Raws) -> Raws:
    """`floor(a*2^32 / b)` for plain integers 0 <= a < 2^31 and b >= 0, zero where b is zero."""
    result = (a << 32) // np.maximum(b, 1)
    return np.asarray(result if b.size == 0 or int(b.min()) > 0 else result * (b > 0))


def inverse(x: Raws) -> Raws:
    """`floor(2^64 / x)`, which is 1/x, for 2 < x < 2^63."""
    unsigned = x.view(np.uint64)
    # 2^64 itself does not fit. 2^64 - 1 has the same quotient unless x divides 2^64, so unless x is a power of two.
    return np.asarray((_U64_MAX // unsigned).view(np.int64) + ((x & (x - 1)) == 0))


def normalize(x: Raws) -> Raws:
    """Each element divided by the sum, 0 <= x, sum < 2^47; a zero sum leaves `x` as it is."""
    total = int(x.sum())
    return x.copy() if total == 0 else div(x, total)


def proportion_to_u16(x: Raws) -> Raws:
    """`floor(x * 65535)` saturated to 0..65535: the chain stores floors, it never rounds here."""
    return np.asarray(np.clip((np.clip(x, 0, 2 * ONE) * U16_MAX) >> 32, 0, U16_MAX))


def u16_to_proportion(value: Raws) -> Raws:
    """`floor(value * 2^32 / 65535)`, so that 65535 is exactly 1."""
    return np.asarray((value << 32) // U16_MAX)


def u16_proportion(value: int) -> int:
    """`u16_to_proportion` of one hyperparameter."""
    return (value << 32) // U16_MAX


def exp_safe(x: Raws) -> Raws:
    """exp of `x` clamped to [-20, 20], as the chain's library computes it, digit for digit.

    A Taylor series on |x| up to the 31st power (each product floored, each quotient truncated), inverted for negative
    x; exactly +1 is a constant of the library.
    """
    clamped = np.clip(x, -EXP_LIMIT, EXP_LIMIT)
    size = np.abs(clamped)
    # Up to |x| = 10 no product exceeds 2^78, and the cheaper multiplication is exact.
    narrow = size.size == 0 or int(size.max()) <= _EXP_NARROW_LIMIT
    result = _exp_series_narrow(size) if narrow else _exp_series_wide(size)
    result = np.where(clamped < 0, inverse(result), result)
    return np.where(clamped == ONE, EXP_OF_ONE, result)


def _exp_series_wide(size: Raws) -> Raws:
    result = size + ONE
    term = size
    for k in range(2, _EXP_LAST_TERM + 1):
        term = mul_wide(term, size) // k
        result = result + term
    return result


def _exp_series_narrow(size: Raws) -> Raws:
    """The same series in place, with |x| split once: this loop is nearly all the time of a liquid-alpha epoch."""
    high, low = (size >> 16).view(np.uint64), (size & 0xFFFF).view(np.uint64)
    term = size.astype(np.uint64)
    result = term + np.uint64(ONE)
    tail = np.empty_like(term)
    for k in range(2, _EXP_LAST_TERM + 1):
        np.multiply(term, low, out=tail)
        np.right_shift(tail, 16, out=tail)
        np.multiply(term, high, out=term)
        np.add(term, tail, out=term)
        np.right_shift(term, 16, out=term)
        np.floor_divide(term, np.uint64(k), out=term)
        np.add(result, term, out=result)
    return result.view(np.int64)
