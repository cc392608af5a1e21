"""The commands that look at a cluster: forms of output, exit codes, complaints. The objects are recorded ones."""

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from assay.cli import app, cluster, explain, replay, status, what_if
from assay.inspection.market import Market
from recorded_demo import Objects, market, without

SUBNET = "demo/embeddings"
Ask = Callable[..., Result]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run a command; in place of the cluster stand the recorded objects, as `change` left them."""

    def run(*arguments: str, change: Callable[[Objects], object] | None = None) -> Result:
        async def recorded(*_: Any, **__: Any) -> Market:
            return market(change)

        async def question(asked: Callable[[Any], Coroutine[Any, Any, Any]], *_: Any) -> Any:
            return await asked(None)

        for command in (explain, replay, status, what_if):
            monkeypatch.setattr(command, "read_market", recorded)
        monkeypatch.setattr(cluster, "_ask", question)
        return CliRunner().invoke(app, list(arguments))

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("status", SUBNET),
        ("explain", SUBNET, "slow"),
        ("replay", SUBNET),
        ("what-if", SUBNET, "--set", "validators.lazy.stake=5000"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_each_answers_as_table_json_and_yaml_with_the_same_content(ask: Ask, arguments: tuple[str, ...]) -> None:
    tabled, as_json, as_yaml = (ask(*arguments, "-o", form) for form in ("table", "json", "yaml"))
    assert [tabled.exit_code, as_json.exit_code, as_yaml.exit_code] == [0, 0, 0], tabled.output
    first, second = json.loads(as_json.stdout), yaml.safe_load(as_yaml.stdout)
    for moving in ("secondsToDeadline", "secondsToNext", "words"):
        first.get("clock", {}).pop(moving, None)
        second.get("clock", {}).pop(moving, None)
    assert first == second
    assert "demo/embeddings" in tabled.stdout or "epoch 42" in tabled.stdout


def test_status_shows_miners_validators_and_conditions(ask: Ask) -> None:
    shown = ask("status", SUBNET).stdout
    for words in ("miner-slow/slow", "answers are right but slow", "val-lazy/lazy", "ConsensusFresh=True", "epoch 42"):
        assert words in shown


def test_status_in_json_has_the_fields_in_camel_case(ask: Ask) -> None:
    answer = json.loads(ask("status", SUBNET, "-o", "json").stdout)
    assert answer["clock"]["committed"] == 42
    assert answer["validators"][0]["lastReport"] == 42


def test_explain_shows_every_report(ask: Ask) -> None:
    shown = ask("explain", SUBNET, "slow").stdout
    for words in ("val-a/val-a", "1826.5 ms", "0/8", "16.88 %", "over the target of 400 ms", "asked nothing"):
        assert words in shown


def test_replay_ends_with_0_if_reproduced(ask: Ask) -> None:
    done = ask("replay", SUBNET)
    assert done.exit_code == 0
    assert "Reproduced" in done.stdout
    assert done.stdout.count("the same") == 3


def test_replay_ends_with_1_if_a_digest_differs(ask: Ask) -> None:
    def other(raw: Objects) -> None:
        raw["subnet"]["status"]["committed"]["stateDigest"] = "sha256:" + "0" * 64

    done = ask("replay", SUBNET, change=other)
    assert done.exit_code == 1
    assert "sha256:000" in done.stdout


def test_replay_ends_with_4_if_an_input_is_missing_and_names_it(ask: Ask) -> None:
    done = ask("replay", SUBNET, change=without("bonds", epoch=41))
    assert done.exit_code == 4
    assert "missing: bonds of epoch 41" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("status", "embeddings"), 2, "write NAMESPACE/SUBNET"),
        (("status", "a/b/c"), 2, "write NAMESPACE/SUBNET"),
        (("explain", SUBNET, "nobody"), 3, "no miner nobody; there are: "),
        (("what-if", SUBNET, "--set", "consensus.kapa=1"), 2, "has no field kapa"),
        (("what-if", SUBNET, "--set", "consensus.kappa=99999"), 2, "spec.consensus.kappa: 99999 > 65535"),
        (("what-if", SUBNET), 2, "--set"),
        (("status", SUBNET, "-o", "xml"), 2, "xml"),
    ],
)
def test_what_cannot_be_done_is_told_on_standard_error(
    ask: Ask, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = ask(*arguments)
    assert (done.exit_code, done.stdout) == (code, "")
    assert words in done.stderr


def test_without_credentials_it_ends_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    done = CliRunner().invoke(app, ["status", SUBNET, "--kubeconfig", str(tmp_path / "none")])
    assert (done.exit_code, done.stdout) == (3, "")
    assert "set KUBECONFIG" in done.stderr


def test_validate_names_every_problem_of_every_file_and_ends_with_2(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    head = "apiVersion: assay.dev/v1alpha1\nkind: Subnet\nmetadata: {name: x, namespace: y}\nspec:\n"
    good.write_text(head + '  task: {kind: Embedding, model: {name: m, version: "1"}}\n', encoding="utf-8")
    bad.write_text(head + "  tusk: 1\n  suspend: 3\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", str(good), str(bad), str(tmp_path / "none.yaml")])
    assert done.exit_code == 2
    assert done.stdout == f"{good}: 1 sound\n"
    assert len(done.stderr.splitlines()) == 4
    as_json = json.loads(CliRunner().invoke(app, ["validate", str(bad), "-o", "json"]).stdout)
    assert len(as_json[0]["problems"]) == 3


def test_validate_reads_standard_input() -> None:
    done = CliRunner().invoke(app, ["validate", "-"], input="kind: [")
    assert done.exit_code == 2
    assert done.stderr.startswith("-: line 1 column 8: not YAML")


@pytest.mark.parametrize("command", ["status", "explain", "replay", "what-if", "doctor", "validate"])
def test_the_help_of_each_tells_its_exit_codes(command: str) -> None:
    shown = CliRunner().invoke(app, [command, "--help"])
    assert shown.exit_code == 0
    assert "Exit status: 0 done" in " ".join(shown.stdout.split())
