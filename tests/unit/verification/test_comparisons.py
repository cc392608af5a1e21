from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from assay.verification import Flaw, InvalidReference, Metric, check_reference, compare
from assay.verification.comparisons import Array

COSINE, RELATIVE, EXACT, TOP = (
    Metric.COSINE_DISTANCE,
    Metric.RELATIVE_ERROR,
    Metric.EXACT_MATCH,
    Metric.TOP_LABEL,
)
INFINITE = float("inf")


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


def text(*values: bytes) -> Array:
    tensor = np.empty(len(values), object)
    tensor[:] = values
    return tensor


@pytest.mark.parametrize(
    ("metric", "expected", "actual", "distance"),
    [
        pytest.param(COSINE, f32(3, 4), f32(3, 4), 0.0, id="cosine: equal vectors do not differ"),
        pytest.param(COSINE, f32(3, 4), f32(6, 8), 0.0, id="cosine: length does not count"),
        pytest.param(COSINE, f32(1, 0), f32(0, 1), 1.0, id="cosine: right angle"),
        pytest.param(COSINE, f32(1, 0), f32(-2, 0), 2.0, id="cosine: opposite"),
        pytest.param(COSINE, f32(0, 0), f32(0, 0), 0.0, id="cosine: two zero vectors agree"),
        pytest.param(COSINE, f32(1, 0), f32(0, 0), 1.0, id="cosine: a zero answer is as far as a right angle"),
        pytest.param(COSINE, f32(0, 0), f32(1, 0), 1.0, id="cosine: a zero reference likewise"),
        pytest.param(COSINE, np.eye(2), np.eye(2)[::-1].copy(), 1.0, id="cosine: the worst row counts"),
        pytest.param(
            COSINE, f32(1, 0, 1, 0).reshape(2, 2), f32(1, 0, -1, 0).reshape(2, 2), 2.0, id="cosine: one bad row"
        ),
        pytest.param(COSINE, np.array(3.0), np.array(4.0), 0.0, id="cosine: a single number is a vector of one"),
        pytest.param(
            COSINE, np.array([1e300, 1e300]), np.array([1e300, 1e300]), 0.0, id="cosine: squares may overflow"
        ),
        pytest.param(COSINE, text(b"a"), text(b"a"), 0.0, id="cosine: text beside vectors must be equal"),
        pytest.param(COSINE, text(b"a"), text(b"b"), INFINITE, id="cosine: text beside vectors differs"),
        pytest.param(RELATIVE, f32(2, 4), f32(2, 5), 0.25, id="relative: over the greatest magnitude"),
        pytest.param(RELATIVE, f32(0, 0), f32(0, 0), 0.0, id="relative: zeros agree"),
        pytest.param(RELATIVE, f32(0, 0), f32(0, 1e-9), INFINITE, id="relative: nothing is near zero but zero"),
        pytest.param(RELATIVE, np.array([1e308]), np.array([-1e308]), INFINITE, id="relative: overflow is far"),
        pytest.param(RELATIVE, np.array([10]), np.array([9]), 0.1, id="relative: whole numbers too"),
        pytest.param(EXACT, text(b"yes"), text(b"yes"), 0.0, id="exact: same text"),
        pytest.param(EXACT, text(b"yes"), text(b"Yes"), INFINITE, id="exact: other text"),
        pytest.param(EXACT, f32(1), f32(1 + 1e-6), INFINITE, id="exact: a little off is off"),
        pytest.param(EXACT, f32(0.0), f32(-0.0), 0.0, id="exact: minus zero is zero"),
        pytest.param(TOP, f32(0.1, 0.9), f32(0.4, 0.6), 0.0, id="top label: same place"),
        pytest.param(TOP, f32(0.1, 0.9), f32(0.6, 0.4), INFINITE, id="top label: other place"),
        pytest.param(TOP, np.eye(2), np.ones((2, 2)), INFINITE, id="top label: every row must agree"),
        pytest.param(TOP, np.array([7]), np.array([7]), 0.0, id="top label: a whole number is a label"),
        pytest.param(TOP, np.array([7]), np.array([8]), INFINITE, id="top label: another label"),
        pytest.param(TOP, text(b"cat"), text(b"dog"), INFINITE, id="top label: text is a label"),
    ],
)
def test_distance(metric: Metric, expected: Any, actual: Any, distance: float) -> None:
    verdict = compare(metric, {"y": expected}, {"y": actual})
    assert verdict.flaw is None
    assert verdict.distance == pytest.approx(distance, abs=1e-12)


@pytest.mark.parametrize(
    ("actual", "flaw"),
    [
        pytest.param({}, Flaw.MISSING_OUTPUT, id="no output at all"),
        pytest.param({"z": f32(1, 2)}, Flaw.MISSING_OUTPUT, id="another output"),
        pytest.param({"y": np.array([1.0, 2.0])}, Flaw.WRONG_TYPE, id="float64 for float32"),
        pytest.param({"y": np.array([1, 2])}, Flaw.WRONG_TYPE, id="whole numbers for reals"),
        pytest.param({"y": text(b"1", b"2")}, Flaw.WRONG_TYPE, id="text for numbers"),
        pytest.param({"y": f32(1)}, Flaw.WRONG_SHAPE, id="too short"),
        pytest.param({"y": f32(1, 2).reshape(1, 2)}, Flaw.WRONG_SHAPE, id="one dimension more"),
        pytest.param({"y": f32()}, Flaw.WRONG_SHAPE, id="empty"),
        pytest.param({"y": f32(1, float("nan"))}, Flaw.NOT_FINITE, id="NaN"),
        pytest.param({"y": f32(1, float("inf"))}, Flaw.NOT_FINITE, id="infinity"),
        pytest.param({"y": f32(1, float("-inf"))}, Flaw.NOT_FINITE, id="minus infinity"),
    ],
)
@pytest.mark.parametrize("metric", Metric)
def test_what_cannot_be_compared_is_a_flaw(metric: Metric, actual: Any, flaw: Flaw) -> None:
    verdict = compare(metric, {"y": f32(1, 2)}, actual)
    assert (verdict.flaw, verdict.distance) == (flaw, INFINITE)


def test_the_worst_output_counts_and_extra_ones_do_not() -> None:
    expected = {"a": f32(1, 0), "b": f32(1, 0)}
    verdict = compare(COSINE, expected, {"a": f32(1, 0), "b": f32(0, 1), "debug": text(b"hello")})
    assert verdict.distance == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("metric", "expected", "message"),
    [
        pytest.param(COSINE, {}, "answered no output", id="no output"),
        pytest.param(EXACT, {"y": f32()}, "output y: the reference answered an empty tensor", id="empty output"),
        pytest.param(COSINE, {"y": f32(float("nan"))}, "output y: the reference answered NaN", id="NaN"),
        pytest.param(COSINE, {"y": text(b"x")}, "needs a numeric output; use ExactMatch", id="cosine of text"),
        pytest.param(RELATIVE, {"y": np.array([True])}, "needs a numeric output; use ExactMatch", id="error of flags"),
        pytest.param(TOP, {"y": f32(1)}, "at least 2 scores along the last axis", id="one score has no top"),
        pytest.param(TOP, {"y": np.array(0.5)}, "at least 2 scores along the last axis", id="a scalar has no top"),
    ],
)
def test_a_useless_reference_is_refused_with_the_remedy(metric: Metric, expected: Any, message: str) -> None:
    with pytest.raises(InvalidReference, match=message):
        check_reference(metric, expected)


ANSWERS = hnp.arrays(
    st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int64, np.uint64, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
)


@given(metric=st.sampled_from(Metric), expected=ANSWERS, actual=ANSWERS)
def test_any_answer_gets_a_verdict(metric: Metric, expected: Any, actual: Any) -> None:
    try:
        check_reference(metric, {"y": expected})
    except InvalidReference:
        return
    verdict = compare(metric, {"y": expected}, {"y": actual})
    assert verdict.distance >= 0.0
    assert verdict.flaw is None or verdict.distance == INFINITE


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)
PAIRS = hnp.array_shapes(min_dims=1, max_dims=2, min_side=2, max_side=4).flatmap(
    lambda shape: st.tuples(
        hnp.arrays(np.float32, shape, elements=FINITE), hnp.arrays(np.float32, shape, elements=FINITE)
    )
)


@given(metric=st.sampled_from(Metric), pair=PAIRS)
def test_the_same_answer_is_at_distance_zero(metric: Metric, pair: tuple[Array, Array]) -> None:
    assert compare(metric, {"y": pair[0]}, {"y": pair[0].copy()}).distance == 0.0


@given(pair=PAIRS)
def test_cosine_distance_is_symmetric_and_within_its_range(pair: tuple[Array, Array]) -> None:
    a, b = pair
    there, back = compare(COSINE, {"y": a}, {"y": b}).distance, compare(COSINE, {"y": b}, {"y": a}).distance
    assert there == back
    assert 0.0 <= there <= 2.0


@given(pair=PAIRS)
def test_cosine_distance_agrees_with_its_definition(pair: tuple[Array, Array]) -> None:
    a, b = (np.asarray(each, np.float64).reshape(-1, each.shape[-1]) for each in pair)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    if not (norms > 1e-60).all():
        return
    defined = 1 - (np.sum(a * b, axis=1) / norms).min()
    assert compare(COSINE, {"y": pair[0]}, {"y": pair[1]}).distance == pytest.approx(defined, abs=1e-9)
