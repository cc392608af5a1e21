"""File locks between commands: the one who waits says so. Lock files are never removed, since others may hold them."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .console import HEARTBEAT_S, say


@contextmanager
def hold(file: Path, doing: str) -> Iterator[None]:
    """Hold an exclusive lock on `file` (its folder is made); `doing` says what a holder does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as opened:
        last_word = 0.0
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() - last_word > HEARTBEAT_S:
                    say(f"  another command is {doing}: waiting for it")
                    last_word = time.monotonic()
                time.sleep(0.1)
        yield
