"""The scorer as the Job runs it: `python -m assay score` in a process of its own, with what it cost.

run = run_scorer(folder, assignment_object(...))
run.report["spec"]["scores"], run.log, run.peak_mib
"""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE_S = 90.0


@dataclass(frozen=True)
class ScorerRun:
    """How it ended. `log`: the parsed lines of standard error, `text`: standard error as it is."""

    status: int
    report: dict[str, Any]
    text: str
    seconds: float
    peak_mib: float

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log's lines; raises ValueError if one is no JSON object."""
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The scores, without the latencies, which no two runs have in common."""
        timed = {"latencyP50Us", "latencyP99Us"}
        return [{key: value for key, value in row.items() if key not in timed} for row in self.report["spec"]["scores"]]


def run_scorer(folder: Path, assignment: Mapping[str, Any] | bytes, *arguments: str) -> ScorerRun:
    """Carry out an assignment without filing the report; `folder` must not hold an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    given, report, log = folder / "assignment.json", folder / "report.json", folder / "log"
    given.write_bytes(assignment if isinstance(assignment, bytes) else json.dumps(assignment).encode())
    argv = [sys.executable, "-m", "assay", "score", "--assignment", str(given), "--output", str(report), *arguments]
    begun, peak_mib = time.monotonic(), 0.0
    with log.open("wb") as sink:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
    while process.poll() is None:
        peak_mib = max(peak_mib, _peak_mib(process.pid))
        if time.monotonic() - begun > PATIENCE_S:
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    return ScorerRun(
        status=process.returncode,
        report=json.loads(report.read_text()) if report.exists() else {},
        text=log.read_text(),
        seconds=time.monotonic() - begun,
        peak_mib=peak_mib,
    )


def _peak_mib(pid: int) -> float:
    """The most memory that the process held so far. Not what wait4 tells: that begins with the parent's."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0
