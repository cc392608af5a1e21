"""Prometheus and promtool of Debian's package, unpacked beside the other cached programs, never installed.

Search order: $PROMETHEUS and $PROMTOOL, the cache, $PATH, and last the package itself: it is fetched by apt and
unpacked, so that no service is set up or started and nothing of the system changes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
READY_S = 30.0


class PrometheusError(Exception):
    """There is no such program here, or it refused; the text has its words."""


def program(name: str) -> str:
    """Path of `prometheus` or `promtool`. Raises PrometheusError where there is none and none can be fetched."""
    folder = _cache()
    if named := os.environ.get(name.upper()):
        return named
    if not (folder / name).exists():
        if found := shutil.which(name):
            return found
        _unpack(folder)
    return str(folder / name)


def promtool(*argv: str) -> str:
    """Run promtool and return what it printed. Raises PrometheusError with its words if it refuses."""
    done = subprocess.run([program("promtool"), *argv], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise PrometheusError(f"promtool {' '.join(argv)}:\n{done.stdout}{done.stderr}")
    return done.stdout


class Server:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of its HTTP API. Raises PrometheusError with its words if it refuses."""
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=30) as answer:  # noqa: S310 - http
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise PrometheusError(f"{path} {parameters}: {error.read().decode()}") from error

    def is_ready(self) -> bool:
        """Whether it answers queries."""
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310 - http
                return bool(answer.status == 200)
        except OSError:
            return False


@contextlib.contextmanager
def running(config: Path, data: Path, port: int) -> Iterator[Server]:
    """Run a Prometheus with its data below `data` while the context lasts; it is killed with it."""
    argv = [
        *DIES_WITH_PARENT,
        program("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={data}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (data.parent / "prometheus.log").open("w+") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)
        try:
            server = Server(f"http://127.0.0.1:{port}")
            deadline = time.monotonic() + READY_S
            while not server.is_ready():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise PrometheusError((data.parent / "prometheus.log").read_text())
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
            yield server
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay" / "bin" / "prometheus"


def _unpack(folder: Path) -> None:
    if shutil.which("apt-get") is None:
        raise PrometheusError("there is no Prometheus here: put prometheus and promtool on PATH (Debian: prometheus)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        # apt drops to a user of its own, which has to be able to write here
        Path(scratch).chmod(0o777)
        if _run([*APT, "download", "prometheus"], scratch).returncode != 0:
            _run([*APT, "update"], scratch)
            done = _run([*APT, "download", "prometheus"], scratch)
            if done.returncode != 0:
                raise PrometheusError(f"cannot fetch Debian's package prometheus:\n{done.stderr}")
        (package,) = Path(scratch).glob("prometheus_*.deb")
        subprocess.run(["dpkg", "-x", str(package), f"{scratch}/root"], check=True)
        (Path(scratch) / "bin").mkdir()
        for name in ("prometheus", "promtool"):
            shutil.move(f"{scratch}/root/usr/bin/{name}", f"{scratch}/bin/{name}")
        # whoever comes second finds the same files there
        with contextlib.suppress(OSError):
            (Path(scratch) / "bin").rename(folder)


def _run(argv: list[str], directory: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(argv, cwd=directory, env=environment, capture_output=True, text=True, check=False)
