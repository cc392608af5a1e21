"""The cache folder: content keys, and products that appear whole or not at all.

Invariant: a path returned by `product` was completed by one successful `make`; half-made ones live under a name of
their own and are renamed at the end.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

KEPT = 3  # versions of a product


def root() -> Path:
    """The folder `assay` below the user's cache folder (`XDG_CACHE_HOME`, else `~/.cache`)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


def key(*parts: str | bytes) -> str:
    """Sixteen hexadecimal digits over `parts`; their boundaries count."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.hexdigest()[:16]


def tree_key(paths: Iterable[Path], base: Path) -> str:
    """A key over the names, run bits and bytes of all files in `paths` (files or folders), named relative to `base`."""
    files = sorted(f for path in paths for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file())
    kept = [f for f in files if "__pycache__" not in f.parts]
    parts: list[str | bytes] = []
    for file in kept:
        parts += [file.relative_to(base).as_posix(), str(os.access(file, os.X_OK)), file.read_bytes()]
    return key(*parts)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold `path` against other processes of this machine; the second one waits and then finds the product made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def product(path: Path, make: Callable[[Path], None]) -> Path:
    """Return `path`, calling `make(draft)` first if it is missing; `draft` is renamed to `path` when `make` returns."""
    if path.exists():
        return path
    with lock(path.with_name(path.name + ".lock")):
        if not path.exists():
            draft = path.with_name(f"{path.name}.draft")
            remove(draft)
            make(draft)
            draft.rename(path)
    return path


def keep_newest(products: Iterable[Path], current: Path) -> None:
    """Delete all but the `KEPT` newest of `products`, which are versions of one thing; never `current`."""
    for old in sorted(products, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        if old != current:
            remove(old)
            remove(old.with_name(old.name + ".lock"))


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
