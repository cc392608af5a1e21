"""Running tools: what the screen and the errors say."""

import sys

import pytest
from imagery import steps


def test_a_failing_tool_is_named_with_its_last_lines() -> None:
    with pytest.raises(steps.StepError, match=r"(?s)making tea: python\S* ended with status 3, expected 0.*no water"):
        steps.run("making tea", [sys.executable, "-c", "print('no water'); raise SystemExit(3)"])


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(steps.StepError, match="making tea: the program kettle-of-nowhere is not installed"):
        steps.run("making tea", ["kettle-of-nowhere"])


def test_a_slow_tool_shows_its_last_line_in_between(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "HEARTBEAT_S", 0.05)
    waits_for_the_pulse = "import sys; print('boiling', flush=True); import time; time.sleep(0.5)"
    steps.run("making tea", [sys.executable, "-c", waits_for_the_pulse])
    assert "making tea: 0 s so far; boiling" in capfd.readouterr().err


def test_progress_leaves_standard_output_to_the_results(capfd: pytest.CaptureFixture[str]) -> None:
    steps.run("making tea", [sys.executable, "-c", "print('noise')"])
    assert capfd.readouterr().out == ""
