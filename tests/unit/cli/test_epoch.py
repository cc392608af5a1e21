"""`assay epoch`: what it prints, and that unusable input gives one line on standard error, status 2 and no output."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from assay.cli.epoch import app
from yuma_support import vectors
from yuma_support.states import base_state, generated_state

STEPS = [step for _, step in vectors.steps()]
STATE = base_state(
    4,
    stake=[60, 30, 0, 0],
    validator_permits=[True, True, False, False],
    weights_u16=[[[2, 65535], [3, 65535]], [[3, 65535]], [], []],
    rao_emission=1000,
)


def invoke(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.fixture
def state_file(tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(STATE), encoding="utf-8")
    return path


def test_a_file_with_a_state_gives_the_derived_object(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    for step in STEPS[:10]:
        path.write_text(json.dumps(step["state"], indent=2), encoding="utf-8")
        result = invoke("run", str(path))
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout) == step["derived"]
        assert list(json.loads(result.stdout)) == list(step["derived"])


def test_states_on_standard_input_give_one_result_line_each() -> None:
    lines = "\n".join(json.dumps(step["state"]) for step in STEPS) + "\n\n"
    result = invoke("run", "-", stdin=lines)
    assert result.exit_code == 0, result.stderr
    assert [json.loads(line) for line in result.stdout.splitlines()] == [step["derived"] for step in STEPS]


def test_the_console_command_runs_it_too(state_file: Path) -> None:
    command = [sys.executable, "-m", "assay", "epoch", "run", "-"]
    line = json.dumps(STATE) + "\n"
    done = subprocess.run(command, input=line * 2, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == invoke("run", str(state_file)).stdout * 2


def test_a_table_has_a_line_a_uid(state_file: Path) -> None:
    result = invoke("run", str(state_file), "-o", "table")
    lines = result.stdout.splitlines()
    assert lines[0].split() == [
        *("uid", "permit", "stake", "consensus", "incentive", "trust", "dividends"),
        *("as", "miner", "as", "validator", "total"),
    ]
    assert lines[1].split()[:3] == ["0", "yes", "43689"]
    assert len(lines) == 5


def test_no_states_give_no_results() -> None:
    result = invoke("run", "-", stdin="\n")
    assert (result.exit_code, result.stdout) == (0, "")


def test_a_result_has_neither_floats_nor_nan(state_file: Path) -> None:
    def refuse(text: str) -> None:
        raise AssertionError(text)

    json.loads(invoke("run", str(state_file)).stdout, parse_float=refuse, parse_constant=refuse)


# ---- Unusable input ------------------------------------------------------------------------------------------------


def _text(**changes: Any) -> str:
    return json.dumps(STATE | changes)


UNUSABLE = {
    "wrong length": (_text(stake=[1]), "stake: has 1 entries, n is 4: entry 1 is missing"),
    "negative": (_text(stake=[1, -1, 0, 0]), "stake[1]: -1 < 0"),
    "above u16": (_text(bonds_u16=[[[0, 1], [1, 65536]], [], [], []]), "bonds_u16[0][1][1]: 65536 > 65535"),
    "NaN": (_text(kappa_u16=float("nan")), "kappa_u16: NaN is not a whole number"),
    "NaN in a row": (
        _text(weights_u16=[[[2, float("nan")]], [], [], []]),
        "weights_u16[0][0][1]: NaN is not",
    ),
    "a uid twice": (_text(weights_u16=[[[2, 1], [2, 1]], [], [], []]), "weights_u16[0][1]: uid 2 is there twice"),
    "an unknown key": (_text(temp=1), "temp: unknown key"),
    "a key twice": (_text()[:-1] + ', "n": 4}', "n: is there twice"),
    "no object": ("[1]", "a state is a JSON object, not list"),
    "no JSON": ('{"n": 4,', "not JSON"),
    "nested beyond reason": ("[" * 100_000, "recursion"),
    "a number of thousands of digits": (
        _text().replace('"rao_emission": 1000', '"rao_emission": ' + "9" * 5000),
        "digits",
    ),
}


@pytest.mark.parametrize(("text", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_input_is_named_in_one_line_with_status_2(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    for arguments, stdin in (
        (("run", str(path)), None),
        (("run", "-"), text),
        (("explain", str(path), "--uid", "0"), None),
    ):
        result = invoke(*arguments, stdin=stdin)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert message in result.stderr
        assert result.stderr.count("\n") == 1


def test_one_bad_line_among_good_ones_leaves_no_output_at_all() -> None:
    result = invoke("run", "-", stdin=f"{_text()}\n\n{_text(n=-1)}\n{_text()}\n")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "line 3: n: -1 < 0\n"


def test_a_file_that_is_not_there_is_named() -> None:
    result = invoke("run", "/nonexistent/state.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("/nonexistent/state.json: No such file or directory")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(b'{"n": "\xff"}')
    result = invoke("run", str(path))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "not UTF-8" in result.stderr


def test_lengths_the_chain_tolerates_are_refused_unless_asked_for() -> None:
    text = _text(validator_permits=[True], last_update=[9_990] * 5)
    assert invoke("run", "-", stdin=text).exit_code == 2
    tolerant = invoke("run", "-", "--chain-lengths", stdin=text)
    assert tolerant.exit_code == 0, tolerant.stderr
    assert json.loads(tolerant.stdout)["active_stake_raw"] == [2**32, 0, 0, 0]


# ---- explain -------------------------------------------------------------------------------------------------------


def test_explain_tells_a_miner_why(state_file: Path) -> None:
    result = invoke("explain", str(state_file), "--uid", "3")
    assert result.exit_code == 0, result.stderr
    assert "Validator 1 (33.33 % of the active stake) gives it 100.00 % of its weight, cut to 50.00 %." in result.stdout
    assert "units it is paid" in result.stdout.splitlines()[-1]


def test_explain_refuses_a_uid_that_is_not_there(state_file: Path) -> None:
    result = invoke("explain", str(state_file), "--uid", "4")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "--uid: uid 4: the state has uids 0 to 3\n"


# ---- what-if -------------------------------------------------------------------------------------------------------


def _difference(path: Path, *changes: str) -> dict[str, Any]:
    flags = [part for change in changes for part in ("--set", change)]
    result = invoke("what-if", str(path), *flags, "-o", "json")
    assert result.exit_code == 0, result.stderr
    difference: dict[str, Any] = json.loads(result.stdout)
    return difference


def test_what_if_shows_before_and_after_where_they_differ(state_file: Path) -> None:
    difference = _difference(state_file, "stake.1=90")
    assert difference["consensus_u16"] == {"2": [32767, 0], "3": [32767, 65535]}
    assert difference["server_emission"]["3"][1] == 500
    table = invoke("what-if", str(state_file), "--set", "stake.1=90").stdout.splitlines()
    assert table[0].split() == ["uid", "value", "before", "after", "change"]
    assert ["2", "consensus_u16", "32767", "0", "-32767"] in [line.split() for line in table]


def test_what_if_changes_settings_vectors_and_single_votes(state_file: Path) -> None:
    assert _difference(state_file, "kappa_u16=50000")["consensus_u16"]
    assert _difference(state_file, "weights_u16.1.2=65535")["incentive_u16"]
    assert _difference(state_file, "weights_u16.1.3=null")["validator_trust_u16"] == {"1": [32767, 0]}
    assert _difference(state_file, "weights_u16.0.2=1")["incentive_u16"]
    assert _difference(state_file, "weights_u16.1=[[2, 5]]")["incentive_u16"]
    assert _difference(state_file, "validator_permits.0=false", "stake.2=4")["active_stake_raw"]
    assert _difference(state_file, "stake.1=30") == {}
    assert invoke("what-if", str(state_file), "--set", "stake.1=30").stdout == "Nothing changes.\n"


def test_what_if_says_when_only_bonds_differ(state_file: Path) -> None:
    result = invoke("what-if", str(state_file), "--set", "max_allowed_validators=1", "--set", "owner_uid=1")
    assert result.exit_code == 0
    result = invoke("what-if", str(state_file), "--set", "bonds_moving_average=500000")
    assert result.stdout == "Only digits below u16 and bonds differ; see -o json.\n"


REFUSED = {
    "no value": ("stake.1", "no =; write KEY=VALUE"),
    "an unknown key": ("stakes=1", "stakes: unknown key"),
    "no such entry": ("stake.4=1", "stake has no entry 4"),
    "an entry of a number": ("n.0=1", "n has no entry 0"),
    "a uid that is no number": ("stake.x=1", "is not a key followed by uids"),
    "too deep": ("weights_u16.0.1.2=1", "names no value"),
    "into a vector's entry": ("stake.0.1=1", "names no value"),
    "a value that is no JSON": ("stake.0=many", "not JSON"),
    "a value out of range": ("stake.0=-1", "stake[0]: -1 < 0"),
    "a vote for nobody": ("weights_u16.0.9=1", "weights_u16[0][2][0]: 9 > 3"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED)
def test_what_if_refuses_a_change_it_cannot_make(state_file: Path, change: str, message: str) -> None:
    result = invoke("what-if", str(state_file), "--set", change)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert "--set" in result.stderr


def test_a_full_size_state_goes_through_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(generated_state(256, 64)), encoding="utf-8")
    result = invoke("run", str(path))
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)["bonds_u16_out"]) == 256
