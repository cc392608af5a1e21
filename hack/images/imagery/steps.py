"""Runs the tools and keeps the screen alive: one line at the start, one at the end, a sign of life in between."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

HEARTBEAT_S = 15
_TAIL_LINES = 40


class StepError(RuntimeError):
    """A tool failed; the message names the step, the command and the end of its output."""


def say(text: str) -> None:
    """Print one line of progress; standard output stays free for the results."""
    print(text, file=sys.stderr, flush=True)


def run(
    title: str, argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run `argv`, showing `title` and, every `HEARTBEAT_S`, how long it has taken and the last line it printed.

    `env` is added to this process's environment. Raises StepError when the tool is missing or fails.
    """
    started, done = time.monotonic(), threading.Event()
    with tempfile.TemporaryFile() as log:
        say(f"  {title} …")
        pulse = threading.Thread(target=_pulse, args=(title, log.fileno(), started, done), daemon=True)
        pulse.start()
        try:
            code = subprocess.call(
                [str(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
            )
        except FileNotFoundError as missing:
            raise StepError(f"{title}: the program {argv[0]} is not installed; install it and run again") from missing
        finally:
            done.set()
            pulse.join()
        if code:
            tail = "\n".join(_text(log.fileno()).splitlines()[-_TAIL_LINES:])
            raise StepError(
                f"{title}: {Path(argv[0]).name} ended with status {code}, expected 0. Its last lines:\n{tail}"
            )
    say(f"  {title}: {time.monotonic() - started:.1f} s")


def require(program: str, package: str) -> None:
    """Make sure that `program` is there, installing the Debian `package` if this user may. Raises StepError."""
    if shutil.which(program) is None:
        install(package)
    if shutil.which(program) is None:
        raise StepError(f"the program {program} is missing; install the package {package} and run again")


def install(package: str) -> None:
    """Install a Debian package if this is root and there is apt, waiting for another apt to end; else do nothing."""
    if os.geteuid() or shutil.which("apt-get") is None:
        return
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300", "--yes", "--no-install-recommends"]
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(f"installing {package}", [*apt, "install", package], env=quiet)
    except StepError:  # the package lists may be old or missing
        run("package lists", [*apt, "update"], env=quiet)
        run(f"installing {package}", [*apt, "install", package], env=quiet)


def output(argv: Sequence[str | Path]) -> str:
    """The standard output of a quick command. Raises StepError with its standard error when it fails."""
    ended = subprocess.run(
        [str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise StepError(
            f"{Path(argv[0]).name} ended with status {ended.returncode}, expected 0: {ended.stderr.strip()}"
        )
    return ended.stdout.strip()


def _text(descriptor: int) -> str:
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, 65536, max(0, size - 65536)).decode(errors="replace")


def _pulse(title: str, descriptor: int, started: float, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT_S):
        lines = _text(descriptor).split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output yet")
        say(f"  {title}: {time.monotonic() - started:.0f} s so far; {last[:120]}")
