"""The reference vectors of single functions.

Those the product has are asked of it. The rest the chain has dropped from its epoch (sigmoid, dense matrices): they are
asked of the same primitives put together here, so that a primitive cannot be wrong where the epoch does not look.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from assay.consensus import is_max_limited, max_upscale_to_u16, run_mechanisms, split_emission, upscaled_to_max
from assay.consensus.bonds import bonds_alpha, liquid_alpha
from assay.consensus.epoch import top_nonzero
from assay.consensus.median import weighted_median_columns
from assay.consensus.numbers import (
    HALF,
    I32F32_MAX,
    I32F32_MIN,
    ONE,
    div,
    exp_safe,
    mul,
    mul_wide,
    normalize,
    proportion_to_u16,
)
from assay.consensus.state import EpochState, Hyperparameters
from yuma_support import vectors
from yuma_support.states import base_state

Case = dict[str, Any]
TOLERANCE = 1.001e-4
"""The file's 1e-4, and the rounding of the decimals it gives."""


def raw(value: Any, *, single: bool = False) -> int:
    """A decimal as I32F32: nearest, ties to even, from the double (or single) it stands for."""
    if value == "MIN":
        return I32F32_MIN
    if value == "MAX":
        return I32F32_MAX
    return round(float(np.float32(value) if single else value) * ONE)


def raws(values: Any, *, single: bool = False) -> np.ndarray[Any, np.dtype[np.int64]]:
    array = np.array(values, dtype=object)
    return np.array([raw(value, single=single) for value in array.ravel()], np.int64).reshape(array.shape)


def max_upscale(case: Case) -> None:
    assert max_upscale_to_u16(case["input_raw"]) == case["output"]


def u16_max_upscale(case: Case) -> None:
    assert upscaled_to_max(case["input"]) == case["output"]


def max_limited(case: Case) -> None:
    assert is_max_limited(case["input"], case["max_limit_u16"]) is case["output"]


def _saturated(value: int) -> int:
    return min(max(value, I32F32_MIN), I32F32_MAX)


def sigmoid(case: Case) -> None:
    """1 / (1 + exp(-rho*(x - kappa))), saturating: on Python integers, since no epoch has such values any more."""
    single = len(case["input"]) == 11
    rho, kappa = raw(case["rho"]), raw(case["kappa"])
    for value, expected in zip(case["input"], case["output"], strict=True):
        offset = _saturated(raw(value, single=single) - kappa)
        exponent = _saturated((_saturated(-rho) * offset) >> 32)
        output = (ONE << 32) // _saturated(int(exp_safe(np.array([exponent]))[0]) + ONE)
        assert abs(output - raw(expected)) <= 1, (value, output / ONE)


def topk(case: Case) -> None:
    """`is_topk` keeps zeros: raising all values by one turns one function into the other."""
    assert top_nonzero(raws(case["input"]) + 1, case["k"]).tolist() == case["output"]


def topk_nonzero(case: Case) -> None:
    assert top_nonzero(raws(case["input"]), case["k"]).tolist() == case["output"]


def median(case: Case) -> None:
    stake, score = raws(case["stake"], single=True), raws(case["score"], single=True)
    kappa = raw(case["majority"], single=True)
    voting = stake > 0
    # As in the epoch, validators without stake are left out before.
    output = weighted_median_columns(stake[voting], score[voting, None].reshape(-1, 1), kappa)
    assert output.tolist() == [raw(case["output"], single=True)]


def median_columns(case: Case) -> None:
    stake, weights = raws(case["stake"], single=True), raws(case["weights"], single=True)
    voting = stake > 0
    output = weighted_median_columns(stake[voting], weights[voting], raw(case["majority"], single=True))
    assert output.tolist() == raws(case["output"], single=True).tolist()


def _close(output: Any, expected: Any, tolerance: float) -> None:
    assert np.allclose(np.asarray(output, float) / ONE, np.asarray(expected, float), rtol=0, atol=tolerance)


def ema_alpha(case: Case) -> None:
    new, old, alpha = raws(case["new"]), raws(case["old"]), raws(case["alpha"])
    _close(np.minimum(mul(ONE - alpha, old) + mul(alpha, new), ONE), case["output"], TOLERANCE)


def ema_alpha_sparse(case: Case) -> None:
    for i, row in enumerate(case["output"]):
        new, old = dict(map(tuple, case["new"][i])), dict(map(tuple, case["old"][i]))
        out = []
        for uid, value in new.items():
            alpha = raw(case["alpha"][i][uid])
            out.append(min(int(mul(ONE - alpha, raw(old.get(uid, 0)))) + int(mul(alpha, raw(value))), ONE))
        assert [uid for uid, _ in row] == list(new)
        _close(out, [value for _, value in row], case["tol"] + 1e-9)


def normalized(case: Case) -> None:
    values = raws(case["input"])
    _close(div(values, int(values.sum())), case["output"], TOLERANCE)
    if values.min() >= 0:
        assert normalize(values).tolist() == div(values, int(values.sum())).tolist()


def row_normalized(case: Case) -> None:
    rows = raws(case["rows"])
    _close(div(rows, rows.sum(axis=1, keepdims=True)), case["output"], TOLERANCE)


def column_upscaled(case: Case) -> None:
    rows = raws(case["columns"])
    _close(div(rows, rows.max(axis=1, keepdims=True)), case["output"], TOLERANCE)


def matmul(case: Case) -> None:
    matrix = raws(case["matrix"])
    if "row_vector" in case:
        _close(mul(matrix, raws(case["row_vector"])[:, None]).sum(axis=0), case["matmul"], 0)
    column = case.get("matmul_transpose_with", case.get("col_vector"))
    if column is not None:
        _close(mul(matrix, raws(column)).sum(axis=1), case["matmul_transpose"], 0)
    if "row_sum" in case:
        _close(matrix.sum(axis=1), case["row_sum"], 0)


def column_clipped(case: Case) -> None:
    _close(np.minimum(raws(case["matrix"]), raws(case["upper"])), case["output"], 0)


def divided(case: Case) -> None:
    output = div(raws(case["x"]), raws(case["y"])).tolist()
    fractions = {"1/2": HALF, "1/3": ONE // 3}
    assert output == [fractions[x] if isinstance(x, str) else raw(x) for x in case["output"]]


def interpolated(case: Case) -> None:
    a, b = raws(case["a"]), raws(case["b"])
    _close(a + mul_wide(b - a, raw(case["ratio"])), case["output"], case["tol"] + 1e-9)


def converted(case: Case) -> None:
    what = case["what"]
    if what.startswith("alpha = 1"):
        assert bonds_alpha(900_000) == raw(0.1)
    elif what.startswith("I64F64"):
        dividend, divisor = (float(number) for number in what.split()[1].split("/"))
        expected = case.get("output_raw", 1)
        assert (int(dividend) << 64) // int(divisor) >> 32 == expected
    else:
        number = float(what.split("(")[1].rstrip(")"))
        assert proportion_to_u16(np.array([raw(number)])).tolist() == [case["output"]]


def exponential(case: Case) -> None:
    one = np.array([case["input_raw"]])
    assert exp_safe(one).tolist() == [case["output_raw"]]
    assert exp_safe(np.array([case["input_raw"], 20 * ONE])).tolist()[0] == case["output_raw"], (
        "the wide series differs"
    )


def alpha_sigmoid(case: Case) -> None:
    settings = _settings_between(case["alpha_low_raw"], case["alpha_high_raw"], case["steepness"])
    output = liquid_alpha(*(np.array([case[f"{name}_raw"]]) for name in ("consensus", "weight", "bond")), settings)
    assert output.tolist() == [case["output_raw"]]


def _settings_between(low: int, high: int, steepness: int) -> Hyperparameters:
    settings = Hyperparameters(
        alpha_low_u16=-(-low * 65535 // ONE), alpha_high_u16=-(-high * 65535 // ONE), alpha_sigmoid_steepness=steepness
    )
    assert (settings.alpha_low_u16 << 32) // 65535 == low
    assert (settings.alpha_high_u16 << 32) // 65535 == high
    return settings


def emission_split(case: Case) -> None:
    assert list(split_emission(case["emission"], case["mechanisms"], case["split"])) == case["output"]


def power_share(case: Case) -> None:
    """Between subnets; no part of the epoch. The published shares only have to be shares."""
    assert abs(sum(case["output"]) - 1) < 1e-9


CHECKS: dict[str, Callable[[Case], None]] = {
    "math/vec_max_upscale_to_u16": max_upscale,
    "math/vec_u16_max_upscale_to_u16": u16_max_upscale,
    "math/check_vec_max_limited": max_limited,
    "math/sigmoid_safe": sigmoid,
    "math/is_topk": topk,
    "derived/is_topk_nonzero": topk_nonzero,
    "math/weighted_median": median,
    "math/weighted_median_col": median_columns,
    "math/mat_ema_alpha": ema_alpha,
    "math/mat_ema_alpha_small": ema_alpha,
    "math/mat_ema_alpha_sparse": ema_alpha_sparse,
    "math/normalize": normalized,
    "math/row_and_col_normalize": row_normalized,
    "math/col_max_upscale": column_upscaled,
    "math/matmul": matmul,
    "math/col_clip": column_clipped,
    "math/vecdiv": divided,
    "math/interpolate": interpolated,
    "math/fixed_conversions": converted,
    "derived/exp_safe": exponential,
    "derived/alpha_sigmoid": alpha_sigmoid,
    "mechanism/split_emissions": emission_split,
    "emission/inplace_pow_normalize": power_share,
}
CASES = [(vector["id"], k, case) for vector in vectors.of_kind("math") for k, case in enumerate(vector["cases"])]


@pytest.mark.parametrize(("name", "case"), [(n, c) for n, _, c in CASES], ids=[f"{n}-{k}" for n, k, _ in CASES])
def test_a_function_gives_the_references_value(name: str, case: Case) -> None:
    assert name in CHECKS, f"the vector file has a function this test does not know: {name}"
    CHECKS[name](case)


@pytest.mark.parametrize("vector", vectors.with_prefix("mechanism/incentives_proportional"), ids=["reference"])
def test_each_mechanism_pays_by_its_own_weights(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    states = [
        EpochState.from_json(
            base_state(3, stake=[1, 0, 0], validator_permits=[True, False, False], weights_u16=[weights, [], []])
        )
        for weights in (inputs["weights_mech0"], inputs["weights_mech1"])
    ]
    result = run_mechanisms(states, 1000)
    for epoch, expected in zip(result.mechanisms, vector["asserted"].values(), strict=True):
        for uid, incentive in expected.items():
            assert abs(int(epoch.incentive_u16[int(uid)]) - incentive) <= 1
