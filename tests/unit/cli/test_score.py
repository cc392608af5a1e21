import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from assay.cli import score
from assignments import assignment_object

APP = typer.Typer()
APP.command()(score.run)


@pytest.fixture(autouse=True)
def outside_of_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)


def run(folder: Path, given: object, *arguments: str) -> Result:
    path = folder / "assignment.json"
    path.write_text(given if isinstance(given, str) else json.dumps(given))
    return CliRunner().invoke(APP, ["--assignment", str(path), *arguments])


def unreachable(**parts: Any) -> dict[str, Any]:
    """An assignment without reference, which ends at once with a report that says so."""
    return assignment_object(miners=[None], **parts)


def test_a_dry_run_prints_the_report_and_nothing_else(tmp_path: Path) -> None:
    ended = run(tmp_path, unreachable(), "--dry-run")
    assert ended.exit_code == 0
    assert json.loads(ended.stdout)["spec"]["failure"]["reason"] == "ChallengeInvalid"


def test_output_writes_the_report_to_a_file(tmp_path: Path) -> None:
    ended = run(tmp_path, unreachable(), "--output", str(tmp_path / "report.json"), "--image-digest", "sha256:abc")
    assert (ended.exit_code, ended.stdout) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["spec"]["scorer"]["imageDigest"] == "sha256:abc"


def test_a_replay_does_not_mind_the_deadline(tmp_path: Path) -> None:
    ended = run(tmp_path, unreachable(seconds=-86_400), "--dry-run")
    assert json.loads(ended.stdout)["spec"]["failure"]["reason"] == "ChallengeInvalid"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param("{", "is not JSON", id="no JSON"),
        pytest.param({"schema": "assay.dev/assignment/v1"}, "epoch: is required; add it", id="nearly nothing"),
        pytest.param(unreachable(seed="5eed"), "seed: ", id="a short seed"),
        pytest.param(unreachable(deadline="soon"), "deadline: ", id="a deadline that is none"),
        pytest.param(unreachable(epoch="40"), "epoch: '40' is a string; write a whole number", id="a number as text"),
    ],
)
def test_an_unusable_assignment_is_status_2_with_the_field(tmp_path: Path, given: object, message: str) -> None:
    ended = run(tmp_path, given, "--dry-run")
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert message in ended.stderr


def test_an_assignment_that_is_not_there_is_status_1(tmp_path: Path) -> None:
    ended = CliRunner().invoke(APP, ["--assignment", str(tmp_path / "absent.json"), "--dry-run"])
    assert ended.exit_code == 1
    assert "No such file" in ended.stderr


def test_outside_of_a_pod_nothing_is_filed_and_the_remedy_is_said(tmp_path: Path) -> None:
    ended = run(tmp_path, unreachable())
    assert ended.exit_code == 1
    (line,) = ended.stderr.splitlines()
    assert "outside of a pod use --dry-run" in json.loads(line)["detail"]
