"""How far one answer is from the expected one.

Owns the four metrics and the rules of what can be compared at all: same output names, data types and shapes, finite
numbers. Never raises because of a miner's answer: whatever is wrong with it is a `Flaw`. What is wrong with the
*expected* answer is the validator's mistake and raises `InvalidReference`.

An answer maps output names to arrays; BYTES outputs have dtype object and hold `bytes`. Outputs that were not expected
are ignored; with several expected outputs the worst one counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Answer: TypeAlias = Mapping[str, Array]
Vectors: TypeAlias = npt.NDArray[np.float64]

EQUAL, DIFFERENT = 0.0, float("inf")


class Metric(StrEnum):
    """The comparison that a ValidatorPolicy names in `spec.scoring.comparison.metric`."""

    COSINE_DISTANCE = "CosineDistance"
    RELATIVE_ERROR = "RelativeError"
    EXACT_MATCH = "ExactMatch"
    TOP_LABEL = "TopLabel"


class Flaw(StrEnum):
    """Why an answer that arrived cannot be compared."""

    MISSING_OUTPUT = "MissingOutput"
    WRONG_TYPE = "WrongType"
    WRONG_SHAPE = "WrongShape"
    NOT_FINITE = "NotFinite"


class InvalidReference(ValueError):
    """The expected answer cannot judge anything; the message names the output and the remedy."""


@dataclass(frozen=True)
class Verdict:
    """`distance` >= 0, infinite if the answers differ beyond measure; `flaw` set if they could not be compared."""

    distance: float
    flaw: Flaw | None = None


def compare(metric: Metric, expected: Answer, actual: Answer) -> Verdict:
    """Judge `actual` against `expected`, which must have passed `check_reference`.

    CosineDistance: 1 - cos between the vectors along the last axis, the worst of them, in 0..2.
    RelativeError: greatest absolute difference over the greatest expected magnitude of the output.
    ExactMatch: 0 or infinity. TopLabel: 0 if the greatest value along the last axis is at the same place everywhere
    (integer and BYTES outputs are labels themselves and must be equal), else infinity.
    """
    distance = EQUAL
    for name, wanted in expected.items():
        given = actual.get(name)
        if given is None:
            return Verdict(DIFFERENT, Flaw.MISSING_OUTPUT)
        flaw = _flaw(wanted, given)
        if flaw is not None:
            return Verdict(DIFFERENT, flaw)
        distance = max(distance, _measure_for(metric, wanted)(wanted, given))
    return Verdict(distance)


def check_reference(metric: Metric, expected: Answer) -> None:
    """Raise InvalidReference unless every answer can be judged against `expected` with `metric`."""
    if not expected:
        raise InvalidReference("the reference answered no output; expected at least one")
    for name, wanted in expected.items():
        if wanted.size == 0:
            raise InvalidReference(f"output {name}: the reference answered an empty tensor of shape {wanted.shape}")
        if not _is_finite(wanted):
            raise InvalidReference(f"output {name}: the reference answered NaN or infinity; its model is broken")
        if metric is Metric.TOP_LABEL and _is_floating(wanted) and (wanted.ndim == 0 or wanted.shape[-1] < 2):
            raise InvalidReference(
                f"output {name}: TopLabel needs at least 2 scores along the last axis, not shape {wanted.shape}; "
                "use RelativeError for single numbers"
            )
    needs_numbers = metric in {Metric.COSINE_DISTANCE, Metric.RELATIVE_ERROR}
    if needs_numbers and not any(_is_numeric(wanted) for wanted in expected.values()):
        raise InvalidReference(
            f"outputs {', '.join(sorted(expected))}: {metric} needs a numeric output; use ExactMatch for text and flags"
        )


def _flaw(wanted: Array, given: Array) -> Flaw | None:
    if given.dtype != wanted.dtype:
        return Flaw.WRONG_TYPE
    if given.shape != wanted.shape:
        return Flaw.WRONG_SHAPE
    return None if _is_finite(given) else Flaw.NOT_FINITE


def _measure_for(metric: Metric, wanted: Array) -> Callable[[Array, Array], float]:
    if not _is_numeric(wanted):
        return _exact_match
    return _MEASURES[metric]


def _cosine_distance(wanted: Array, given: Array) -> float:
    """Half the squared distance of the unit vectors equals 1 - cos, and loses no digits where they nearly agree."""
    a, b = _unit_rows(wanted), _unit_rows(given)
    distances = 0.5 * np.sum(np.square(a - b), axis=-1)
    # A zero vector has no direction: it agrees with another one, and is as good as orthogonal to anything else.
    a_is_zero, b_is_zero = ~a.any(axis=-1), ~b.any(axis=-1)
    distances = np.where(a_is_zero | b_is_zero, np.where(a_is_zero & b_is_zero, 0.0, 1.0), distances)
    return min(float(distances.max()), 2.0)


def _unit_rows(values: Array) -> Vectors:
    rows = np.atleast_1d(values).astype(np.float64)
    # Scaling by the greatest magnitude first: the square of a large float64 would overflow.
    peak = np.abs(rows).max(axis=-1, keepdims=True)
    rows = np.divide(rows, peak, out=np.zeros_like(rows), where=peak > 0)
    norm = np.sqrt(np.sum(np.square(rows), axis=-1, keepdims=True))
    unit: Vectors = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    return unit


def _relative_error(wanted: Array, given: Array) -> float:
    a, b = wanted.astype(np.float64), given.astype(np.float64)
    with np.errstate(over="ignore"):
        error, magnitude = float(np.abs(a - b).max()), float(np.abs(a).max())
        if error == 0.0:
            return EQUAL
        return float(np.float64(error) / np.float64(magnitude)) if magnitude > 0.0 else DIFFERENT


def _exact_match(wanted: Array, given: Array) -> float:
    return EQUAL if np.array_equal(wanted, given) else DIFFERENT


def _top_label(wanted: Array, given: Array) -> float:
    if not _is_floating(wanted):
        return _exact_match(wanted, given)
    return _exact_match(np.argmax(wanted, axis=-1), np.argmax(given, axis=-1))


_MEASURES: Mapping[Metric, Callable[[Array, Array], float]] = {
    Metric.COSINE_DISTANCE: _cosine_distance,
    Metric.RELATIVE_ERROR: _relative_error,
    Metric.EXACT_MATCH: _exact_match,
    Metric.TOP_LABEL: _top_label,
}


def _is_floating(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.floating))


def _is_numeric(values: Array) -> bool:
    return bool(np.issubdtype(values.dtype, np.number))


def _is_finite(values: Array) -> bool:
    return not _is_floating(values) or bool(np.isfinite(values).all())
