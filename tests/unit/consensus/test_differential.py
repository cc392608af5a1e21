"""The engine against a second one that shares no code with it, on random states with every rule's edges made likely."""

import os

import numpy as np
import pytest

from assay.consensus import EpochState, run_epoch
from yuma_support import float_engine, oracle, vectors
from yuma_support.states import generated_state, random_state

CASES = int(os.environ.get("ASSAY_CONSENSUS_CASES", "2000"))
"""How many states; the long campaign has 100,000."""
PARTS = 20


def test_the_second_engine_itself_has_every_digit_of_the_reference() -> None:
    for name, step in vectors.steps():
        assert oracle.run(step["state"]) == step["derived"], name


@pytest.mark.parametrize("part", range(PARTS))
def test_both_engines_agree_on_every_digit_of_random_states(part: int) -> None:
    for seed in range(part, CASES, PARTS):
        state = random_state(seed)
        expected, result = oracle.run(state), run_epoch(EpochState.from_json(state)).to_json()
        for key in expected:
            assert result[key] == expected[key], f"random_state({seed}): {key}"


@pytest.mark.parametrize("penalty", [0, 30_000, 65535])
@pytest.mark.parametrize(("yuma3", "liquid"), [(False, False), (True, False), (True, True)])
def test_both_engines_agree_on_a_state_of_full_size(yuma3: bool, liquid: bool, penalty: int) -> None:
    """More entries than liquid alpha takes at a time."""
    state = generated_state(256, 90, yuma3_on=yuma3, liquid_alpha_on=liquid, bonds_penalty_u16=penalty)
    expected, result = oracle.run(state), run_epoch(EpochState.from_json(state)).to_json()
    for key in expected:
        assert result[key] == expected[key], key


def test_the_random_states_reach_every_variant() -> None:
    """Otherwise agreement would say little."""
    reached: dict[str, int] = {}
    for seed in range(min(2000, CASES)):
        state = random_state(seed)
        result = run_epoch(EpochState.from_json(state))
        paid = bool(result.incentive_raw.any() and result.dividends_raw.any())
        mode = state["liquid_alpha_consensus_mode"] if state["liquid_alpha_on"] else "plain"
        version = f"yuma3 {mode}" if state["yuma3_on"] else "classic"
        penalty = {0: "none", 65535: "full"}.get(state["bonds_penalty_u16"], "partial")
        for name in (version, f"penalty {penalty}", "fallback" if not paid else "paid"):
            reached[name] = reached.get(name, 0) + 1
        out_of_order = any(row != sorted(row) for row in result.to_json()["ema_bonds_raw"])
        reached["rows out of order"] = reached.get("rows out of order", 0) + out_of_order
    least = min(2000, CASES) // 100
    assert {name for name, count in reached.items() if count >= least} >= {
        "classic",
        "yuma3 plain",
        "yuma3 Current",
        "yuma3 Previous",
        "yuma3 Auto",
        "penalty none",
        "penalty partial",
        "penalty full",
        "paid",
        "fallback",
        "rows out of order",
    }, reached


@pytest.mark.parametrize("yuma3", [False, True], ids=["classic", "Yuma3"])
@pytest.mark.parametrize("liquid", [False, True], ids=["plain", "liquid alpha"])
@pytest.mark.parametrize("penalty", [0, 30_000, 65535])
def test_a_float64_engine_is_within_a_millionth(yuma3: bool, liquid: bool, penalty: int) -> None:
    changes = {"yuma3_on": yuma3, "liquid_alpha_on": liquid, "bonds_penalty_u16": penalty}
    state = EpochState.from_json(generated_state(96, 24, **changes))
    exact, approximate = run_epoch(state), float_engine.run(state)
    for name, raws in (
        ("consensus", exact.consensus_raw),
        ("validator_trust", exact.validator_trust_raw),
        ("incentive", exact.incentive_raw),
        ("dividends", exact.dividends_raw),
        ("emission", exact.normalised_combined_emission_raw),
    ):
        assert np.allclose(raws / 2**32, getattr(approximate, name), rtol=0, atol=1e-6), name
    bonds = exact.ema_bonds.dense(approximate.rows) / 2**32
    assert np.allclose(bonds, approximate.bonds, rtol=0, atol=1e-6)
