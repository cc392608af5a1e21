"""What the person at the screen sees: one line a step with the seconds since the start, and the error type.

Never decides anything. Invariant: a caller that waits through `wait_for` or `follow` is silent for at most HEARTBEAT_S.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

HEARTBEAT_S = 15.0
_START = time.monotonic()


class ClusterError(Exception):
    """Something the user has to know: the message names what failed, where, and the remedy."""


def say(text: str) -> None:
    """Print one progress line to standard error; standard output belongs to answers such as paths."""
    print(f"[{time.monotonic() - _START:6.1f}s] {text}", file=sys.stderr, flush=True)


def wait_for(what: str, ready: Callable[[], bool], timeout_s: float, hint: str = "", poll_s: float = 0.1) -> None:
    """Poll `ready` until it is true.

    Raises:
        ClusterError: after `timeout_s`, naming `what` and `hint` (where to look).
    """
    begun = last_word = time.monotonic()
    while not ready():
        now = time.monotonic()
        if now - begun > timeout_s:
            raise ClusterError(f"{what}: not so after {timeout_s:.0f} s. {hint}".rstrip())
        if now - last_word > HEARTBEAT_S:
            say(f"  waiting: {what} ({now - begun:.0f} s)")
            last_word = now
        time.sleep(poll_s)


def follow(what: str, argv: Sequence[str], *, cwd: Path | None = None, env: dict[str, str] | None = None) -> None:
    """Run a long command, saying every HEARTBEAT_S that it still runs; its output is shown only if it fails.

    Raises:
        ClusterError: the command exited non-zero; carries the end of its output.
    """
    begun = time.monotonic()
    with subprocess.Popen(
        argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=HEARTBEAT_S)
                break
            except subprocess.TimeoutExpired:
                say(f"  still {what} ({time.monotonic() - begun:.0f} s)")
            except BaseException:
                process.kill()
                raise
    if process.returncode != 0:
        raise ClusterError(f"{what} failed (exit {process.returncode}): {' '.join(argv)}\n{output[-3000:]}")


def run(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a short command and return its standard output.

    Raises:
        ClusterError: it is not installed, or exited non-zero while `check` is set.
    """
    try:
        done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    except FileNotFoundError as missing:
        raise ClusterError(f"{argv[0]} is not installed: install it, or run as root so that it can be") from missing
    if check and done.returncode != 0:
        raise ClusterError(f"{' '.join(argv)} failed (exit {done.returncode}): {done.stderr.strip() or done.stdout}")
    return done.stdout
