"""A real Triton server for local processes: the wheel's server, and a Python environment for its Python backend.

The backend's stub embeds the system's shared libpython and finds its packages through the first `python3` on PATH, so
the environment is made from exactly that interpreter (the stub ignores PYTHONPATH).
"""

import shutil
import subprocess
from pathlib import Path

from imagery import cache, environment, steps

SOURCES = Path(__file__).resolve().parent.parent / "triton"
VERSIONS = ("3.11", "3.12")  # the wheel has a stub for each, and the locked packages support each


def prepare() -> Path:
    """Make (once) and return the folder with `tritonserver/`, and `python/` whose `bin` goes first on PATH.

    Raises StepError when no Python with a shared library is found or the packages cannot be fetched.
    """
    version = _python_version()
    locked = [SOURCES / "server.txt", SOURCES / "python.txt"]
    content = cache.key(version, *(f.read_bytes() for f in locked), Path(__file__).read_bytes())
    folder = cache.product(cache.root() / "triton" / content, lambda draft: _make(draft, version))
    cache.keep_newest((path.parent for path in folder.parent.glob("*/tritonserver")), folder)
    return folder


def _make(draft: Path, version: str) -> None:
    steps.say(f"Triton for local processes (Python {version})")
    draft.mkdir(parents=True)
    interpreter = f"/usr/bin/python{version}"
    python = environment.create(
        draft / "python", SOURCES / "python.txt", interpreter=interpreter, title="Python backend"
    )
    wheel = environment.pip(python, "--no-compile", "--target", draft / "wheel", "-r", SOURCES / "server.txt")
    steps.run("Triton server", wheel)
    server = draft / "wheel/pytriton/tritonserver"
    shutil.copy2(server / "python_backend_stubs" / version / "triton_python_backend_stub", server / "backends/python/")
    (draft / "tritonserver").symlink_to("wheel/pytriton/tritonserver")


def _python_version() -> str:
    found = next((v for v in VERSIONS if _embeddable(v)), None)
    if found:
        return found
    installed = next((v for v in VERSIONS if Path(f"/usr/bin/python{v}").exists()), None)
    if installed:
        steps.install(f"libpython{installed}")
        if _embeddable(installed):
            return installed
    raise steps.StepError(
        f"local Triton: expected /usr/bin/python3 of version {' or '.join(VERSIONS)} with its shared library, "
        "found none; install python3.11 and libpython3.11"
    )


def _embeddable(version: str) -> bool:
    """The interpreter is there, and the stub's loader would find its shared library."""
    if not Path(f"/usr/bin/python{version}").exists():
        return False
    probe = f"import ctypes; ctypes.CDLL('libpython{version}.so.1.0')"
    return subprocess.run([f"/usr/bin/python{version}", "-c", probe], capture_output=True, check=False).returncode == 0
