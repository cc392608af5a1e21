"""Every epoch among the reference vectors, digit for digit, and what upstream asserts of it within its tolerance."""

import hashlib
from typing import Any

import numpy as np
import pytest

from assay.consensus import (
    EpochResult,
    EpochState,
    bonds_after_reset,
    run_epoch,
    upscaled_to_max,
)
from yuma_support import vectors
from yuma_support.states import base_state, generated_state

STEPS = vectors.steps()
SEQUENCES = vectors.of_kind("epoch_sequence")
PRINTED = 1.1e-10
"""Upstream prints ten decimals; a comment trace may be one digit off in the last (2e-9 by the file's own tolerance)."""


@pytest.mark.parametrize("step", [step for _, step in STEPS], ids=[name for name, _ in STEPS])
def test_the_result_has_every_digit_and_every_key_of_the_reference(step: dict[str, Any]) -> None:
    result = run_epoch(EpochState.from_json(step["state"])).to_json()
    assert list(result) == list(step["derived"])
    for key, expected in step["derived"].items():
        assert result[key] == expected, key


@pytest.mark.parametrize("step", [s for _, s in STEPS if "asserted" in s], ids=[n for n, s in STEPS if "asserted" in s])
def test_what_upstream_asserts_holds(step: dict[str, Any]) -> None:
    result = run_epoch(EpochState.from_json(step["state"]))
    for key, expected in step["asserted"].items():
        _check_asserted(result, key, expected, step["asserted"])


def _check_asserted(result: EpochResult, key: str, expected: Any, asserted: dict[str, Any]) -> None:
    derived = result.to_json()
    bonds = [dict(map(tuple, row)) for row in derived["bonds_u16_out"]]
    match key:
        case "bonds_u16" if "bonds_column" in asserted:
            assert [bonds[i].get(asserted["bonds_column"], 0) for i in range(len(expected))] == expected
        case "bonds_u16":
            for i, row in expected.items():
                assert {str(j): bonds[int(i)].get(int(j), 0) for j in row} == row
        case "bonds_column":
            pass
        case "sum_server_plus_validator_emission":
            total = sum(derived["server_emission"]) + sum(derived["validator_emission"])
            assert abs(total - expected["value"]) <= expected["tolerance"]
        case "incentive_u16_positive":
            assert all(derived["incentive_u16"][uid] > 0 for uid in expected)
        case "dividends" if f"{key}_raw" in derived and any(0 < x < 1 and round(x, 4) == x for x in expected):
            assert np.allclose(np.array(derived["dividends_u16"]) / 65535, expected, rtol=0, atol=1e-3)
        case _ if f"{key}_raw" in derived:
            assert np.allclose(np.array(derived[f"{key}_raw"]) / 2**32, expected, rtol=0, atol=PRINTED)
        case _ if isinstance(expected, dict):
            assert {uid: derived[key][int(uid)] for uid in expected} == expected
        case _:
            assert derived[key] == expected


@pytest.mark.parametrize("vector", SEQUENCES, ids=[vector["id"] for vector in SEQUENCES])
def test_epochs_chain_into_the_next_ones_state(vector: dict[str, Any]) -> None:
    """Bonds handed on from our own result, wherever the file hands on the reference's."""
    carried = None
    for before, step in zip([None, *vector["steps"]], vector["steps"], strict=False):
        state = step["state"]
        if before is not None and state["bonds_u16"] == before["derived"]["bonds_u16_out"]:
            state = state | {"bonds_u16": carried}
        result = run_epoch(EpochState.from_json(state)).to_json()
        assert result["bonds_u16_out"] == step["derived"]["bonds_u16_out"]
        carried = result["bonds_u16_out"]


TRACED = [(name, step) for name, step in STEPS if "logged_in_test_comment" in step]


@pytest.mark.parametrize("step", [step for _, step in TRACED], ids=[name for name, _ in TRACED])
def test_the_trace_in_the_upstream_comment_is_reproduced(step: dict[str, Any]) -> None:
    result = run_epoch(EpochState.from_json(step["state"]))
    logged = step["logged_in_test_comment"]
    vectors_of = {
        "C": result.consensus_raw,
        "Tv": result.validator_trust_raw,
        "I (=R)": result.incentive_raw,
        "D": result.dividends_raw,
        "nE": result.normalised_combined_emission_raw,
    }
    for name, raws in vectors_of.items():
        if name in logged:
            assert np.allclose(raws / 2**32, logged[name], rtol=0, atol=2e-9), name
    if "E" in logged:
        assert result.combined_emission.tolist() == logged["E"]
    for row, expected in zip(result.ema_bonds.to_lists(), logged.get("emaB #2 (max-upscaled)", []), strict=False):
        assert [uid for uid, _ in row] == [uid for uid, _ in expected]
        assert np.allclose([raw / 2**32 for _, raw in row], [bond for _, bond in expected], rtol=0, atol=2e-9)


# ---- States given by a rule ----------------------------------------------------------------------------------------

GRAPHS = [vector for vector in vectors.of_kind("epoch_generated") if "first_epoch" in vector["setup"]]


@pytest.mark.parametrize("vector", GRAPHS, ids=[vector["id"] for vector in GRAPHS])
def test_equal_validators_and_equal_servers_share_equally(vector: dict[str, Any]) -> None:
    setup, n = vector["setup"], vector["setup"]["n"]
    spread = "%" in setup["validators_rule"]
    validators = [uid for uid in range(n) if (uid % 8 == 0 if spread else uid < 64)]
    servers = sorted(set(range(n)) - set(validators))
    state = base_state(
        n,
        current_block=0,
        last_tempo_for_bond_mask=0,
        last_update=[0] * n,
        stake=[setup["stake_per_validator"] if uid in set(validators) else setup["server_stake"] for uid in range(n)],
        **{key: setup[key] for key in _SHARED_KEYS if key in setup},
    )
    permits = run_epoch(EpochState.from_json(state)).new_validator_permits.tolist()
    assert [uid for uid in range(n) if permits[uid]] == validators
    weight = upscaled_to_max([65535 // n])[0]
    vote = [[server, weight] for server in servers]
    self_on = "itself" in setup["then"]
    rows = [vote if permits[uid] else [[uid, 65535]] if self_on else [] for uid in range(n)]
    state |= {"current_block": 1, "last_update": [1] * n, "validator_permits": permits, "weights_u16": rows}
    for _ in range(setup["epochs"]):
        result = run_epoch(EpochState.from_json(state)).to_json()
        for role, uids in (("validator", validators), ("server", servers)):
            for key, expected in (vector["asserted"][role] | vector["derived"][role]).items():
                if key in result:
                    assert {result[key][uid] for uid in uids} == {expected}, (role, key)
        first = dict(map(tuple, result["bonds_u16_out"][validators[0]]))
        assert first.get(validators[0], 0) == vector["asserted"]["validator"]["bond_on_first_validator"]
        assert first[servers[0]] == vector["asserted"]["validator"]["bond_on_first_server_u16"]
        assert not any(result["bonds_u16_out"][server] for server in servers)
        state |= {"bonds_u16": result["bonds_u16_out"]}


_SHARED_KEYS = (
    "tempo",
    "max_allowed_validators",
    "yuma3_on",
    "kappa_u16",
    "bonds_penalty_u16",
    "bonds_moving_average",
    "rao_emission",
)
LARGE_GRAPHS = [v for v in vectors.of_kind("epoch_generated") if "asserted_in_commented_test" in v]


@pytest.mark.parametrize("vector", LARGE_GRAPHS, ids=[vector["id"] for vector in LARGE_GRAPHS])
def test_a_subnet_of_thousands_of_uids_shares_equally(vector: dict[str, Any]) -> None:
    setup, n, validators = vector["setup"], vector["setup"]["n"], vector["setup"]["max_allowed_validators"]
    vote = [[server, 65535] for server in range(validators, n)]
    state = base_state(
        n,
        stake=[setup["stake_per_validator"] if uid < validators else 0 for uid in range(n)],
        validator_permits=[uid < validators for uid in range(n)],
        max_allowed_validators=validators,
        weights_u16=[vote if uid < validators else [] for uid in range(n)],
        yuma3_on=setup["yuma3_on"],
    )
    result = run_epoch(EpochState.from_json(state)).to_json()
    expected = vector["asserted_in_commented_test"]
    for key, value in expected["validator"].items():
        assert set(result[key][:validators]) == {value}, key
    for key, value in expected["server"].items():
        assert set(result[key][validators:]) == {value}, key


GENERATED = [(vector, case) for vector in vectors.of_kind("epoch_generated") for case in vector.get("cases", [])]


@pytest.mark.parametrize(
    ("vector", "case"),
    GENERATED,
    ids=[f"{v['id']}-yuma3={c['yuma3_on']}-liquid={c['liquid_alpha_on']}" for v, c in GENERATED],
)
def test_a_full_size_state_by_rule_has_the_reference_digests(vector: dict[str, Any], case: dict[str, Any]) -> None:
    setup = vector["setup"]
    state = generated_state(
        setup["n"], setup["max_allowed_validators"], yuma3_on=case["yuma3_on"], liquid_alpha_on=case["liquid_alpha_on"]
    )
    for key, value in setup.items():
        if key in state and not isinstance(state[key], list):
            assert state[key] == value, f"{key}: the rule of this test does not fit the file's"
    result = run_epoch(EpochState.from_json(state)).to_json()
    for key, digest in case["sha256_le_i64"].items():
        if key in result and not isinstance(result[key][0], list):
            assert hashlib.sha256(np.array(result[key], "<i8").tobytes()).hexdigest() == digest, key
    dense = np.zeros((setup["n"], setup["n"]), "<i8")
    for i, row in enumerate(result["bonds_u16_out"]):
        for j, bond in row:
            dense[i, j] = bond
    assert hashlib.sha256(dense.tobytes()).hexdigest() == case["sha256_le_i64"]["bonds_out_u16_row_major_dense"]
    for key, expected in case.items():
        if key in result:
            assert result[key][: len(expected)] == expected, key


# ---- Permits, behaviours, scenarios --------------------------------------------------------------------------------

PERMITS = [case for vector in vectors.of_kind("permits") for case in vector["cases"]]


@pytest.mark.parametrize(
    "case",
    PERMITS,
    ids=[f"{c['max_allowed_validators']} of {c['n']}, at least {c['stake_threshold']}" for c in PERMITS],
)
def test_permits_follow_the_stake_from_epoch_to_epoch(case: dict[str, Any]) -> None:
    state = base_state(
        case["n"],
        stake=case["stake_before"],
        stake_threshold=case["stake_threshold"],
        max_allowed_validators=case["max_allowed_validators"],
    )
    first = run_epoch(EpochState.from_json(state)).new_validator_permits.tolist()
    assert first == case["permits_after_first_epoch"]
    second = run_epoch(EpochState.from_json(state | {"stake": case["stake_after"], "validator_permits": first}))
    assert second.new_validator_permits.tolist() == case["permits_after_second_epoch"]


def test_a_permit_vector_that_is_too_short_reads_as_no_permit() -> None:
    for vector in vectors.with_prefix("epoch_logs/test_bad_permit_vector"):
        inputs = vector["inputs"]
        state = base_state(
            len(inputs["stake"]), stake=inputs["stake"], validator_permits=inputs["validator_permits_stored"]
        )
        result = run_epoch(EpochState.from_json(state, chain_lengths=True))
        assert result.validator_emission.tolist() == vector["asserted"]["validator_emission"]


def test_a_last_update_vector_of_another_length_does_no_harm() -> None:
    for vector in vectors.with_prefix("test_last_update_size_mismatch"):
        inputs = vector["inputs"]
        state = base_state(
            inputs["n"],
            current_block=1,
            stake=[1],
            validator_permits=[True],
            last_update=inputs["last_update"],
            weights_u16=inputs["weights"],
        )
        result = run_epoch(EpochState.from_json(state, chain_lengths=True)).to_json()
        for key, expected in vector["asserted"].items():
            assert result[key] == expected


SCENARIOS = [
    (case, variant)
    for vector in vectors.of_kind("scenario_inputs")
    for case in vector["cases"]
    for variant in case["derived"]
]
VARIANTS = {
    "classic": {"yuma3_on": False, "bonds_moving_average": 900_000, "bonds_penalty_u16": 65535},
    "yuma3": {"yuma3_on": True, "bonds_moving_average": 900_000, "bonds_penalty_u16": 65535},
    "yuma3_liquid": {
        "yuma3_on": True,
        "liquid_alpha_on": True,
        "alpha_low_u16": 6553,
        "alpha_high_u16": 19660,
        "bonds_moving_average": 975_000,
        "bonds_penalty_u16": 0,
    },
}


@pytest.mark.parametrize(("case", "variant"), SCENARIOS, ids=[f"{case['name']}, {v}" for case, v in SCENARIOS])
def test_the_simulators_scenarios_come_out_as_the_reference_math_has_them(case: dict[str, Any], variant: str) -> None:
    validators, n = len(case["validators"]), len(case["validators"]) + len(case["servers"])
    bonds: list[list[list[int]]] = [[] for _ in range(n)]
    permits = [uid < validators for uid in range(n)]
    for epoch in range(case["num_epochs"]):
        plan = [part for part in case["schedule"] if part["from_epoch"] <= epoch][-1]
        # The file's classic numbers are those without the reset: it came with Yuma3.
        if case["reset_bonds"] and epoch == case["reset_bonds_epoch"] and variant != "classic":
            rows = {i: dict(map(tuple, row)) for i, row in enumerate(bonds)}
            reset = bonds_after_reset(rows, validators + case["reset_bonds_server_index"])
            bonds = [[list(item) for item in reset[i].items()] for i in range(n)]
        votes = [upscaled_to_max([round(w * 65535) for w in row]) for row in plan["weights"]]
        state = base_state(
            n,
            stake=[round(s * 1e9) for s in plan["stakes"]] + [0] * (n - validators),
            validator_permits=permits,
            max_allowed_validators=validators,
            weights_u16=[[[validators + j, w] for j, w in enumerate(vote)] for vote in votes]
            + [[] for _ in range(n - validators)],
            bonds_u16=bonds,
            **VARIANTS[variant],
        )
        result = run_epoch(EpochState.from_json(state)).to_json()
        bonds, permits = result["bonds_u16_out"], result["new_validator_permits"]
        derived = case["derived"][variant]
        assert result["dividends_u16"][:validators] == derived["dividends_u16"][epoch], f"epoch {epoch}"
        assert result["incentive_u16"][validators:] == derived["incentive_u16"][epoch], f"epoch {epoch}"
        if epoch < len(derived["bonds_u16_first6_epochs"]):
            rows = [dict(map(tuple, row)) for row in bonds[:validators]]
            held = [[row.get(uid, 0) for uid in range(validators, n)] for row in rows]
            assert held == derived["bonds_u16_first6_epochs"][epoch], f"epoch {epoch}"
