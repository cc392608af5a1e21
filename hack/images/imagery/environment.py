"""Python environments in the cache: made from a lock file of hashes, one for every content of it."""

import subprocess
import sys
from pathlib import Path

from imagery import cache, steps


def pip(python: str | Path, *arguments: str | Path) -> list[str | Path]:
    """The command that runs this machine's pip for the interpreter `python`, which needs none of its own."""
    return [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--require-hashes", *arguments]


def create(folder: Path, lock: Path, *, interpreter: str, title: str) -> Path:
    """Make the environment `folder` with the packages of `lock`; returns its python. Raises StepError."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        raise steps.StepError(f"{title}: {sys.executable} has no pip; install python3-pip and run again")
    steps.run(f"{title}: environment", [interpreter, "-m", "venv", "--without-pip", folder])
    python = folder / "bin/python3"
    steps.run(f"{title}: packages", pip(python, "--no-compile", "-r", lock))
    return python


def cached(name: str, lock: Path) -> Path:
    """The python of an environment with the packages of `lock`, made by this interpreter if need be."""
    content = cache.key(sys.version, lock.read_bytes())
    folder = cache.product(
        cache.root() / "python" / f"{name}-{content}",
        lambda draft: _make(draft, lock, name),
    )
    return folder / "bin/python3"


def _make(draft: Path, lock: Path, name: str) -> None:
    create(draft, lock, interpreter=sys.executable, title=name)
