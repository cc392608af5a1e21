"""A real Triton server as a local process, for tests that need answers and no cluster.

Owns the processes it starts and their shared memory: both end with `stop`, with the `with` block, and with the test
process itself, even if that is killed. Never touches another Triton of this machine: ports, process group and
shared-memory prefix are its own.

    with start_triton(tiny_repository(tmp_path), model="tiny") as triton:
        client = tritonclient.grpc.InferenceServerClient(triton.grpc_url)
"""

import contextlib
import functools
import os
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parents[2]
START_TIMEOUT_S = 60.0
_POLL_S = 0.05
_DIES_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the Python backend puts its regions


class TritonStartError(RuntimeError):
    """Triton ended, or its model was not ready in time; the message holds the end of its log."""


@dataclass(frozen=True)
class TritonProcess:
    """A running Triton whose model is ready. URLs are `host:port`, but `metrics_url`, which is complete."""

    grpc_url: str
    http_url: str
    metrics_url: str
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The server's process id, also its process group and part of its shared-memory prefix."""
        return self.process.pid

    def stop(self, grace_s: float = 10.0) -> None:
        """Ask it to leave, then make it; afterwards no process and no shared memory of it remains. Idempotent."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
        _end_group(self.process)
        for region in _SHARED_MEMORY.glob(_shm_prefix(self.http_url) + "*"):
            region.unlink(missing_ok=True)
        self.log.unlink(missing_ok=True)

    def __enter__(self) -> "TritonProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_triton(
    repository: Path,
    *,
    model: str,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    timeout_s: float = START_TIMEOUT_S,
) -> TritonProcess:
    """Serve `model` of `repository` on free loopback ports and return once that model is ready.

    `env` is added to the server's environment (for example DEMO_DELAY_MS), `arguments` to its command line; `log` is
    there until `stop`. Raises TritonStartError, which carries the end of the log.
    """
    home = triton_home()
    http, grpc, metrics = _free_ports(3)
    http_url = f"127.0.0.1:{http}"
    log = Path(tempfile.gettempdir()) / f"{_shm_prefix(http_url)}.log"
    argv = [
        *_DIES_WITH_PARENT,
        f"{home}/tritonserver/bin/tritonserver",
        f"--model-repository={repository}",
        f"--backend-directory={home}/tritonserver/backends",
        "--model-control-mode=explicit",
        f"--load-model={model}",
        "--http-address=127.0.0.1",
        f"--http-port={http}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics}",
        "--allow-gpu-metrics=false",
        "--exit-timeout-secs=3",
        f"--backend-config=python,shm-region-prefix-name={_shm_prefix(http_url)}",
        *arguments,
    ]
    environment = {**os.environ, **(env or {}), "PATH": f"{home}/python/bin:{os.environ['PATH']}"}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment, start_new_session=True
        )
    triton = TritonProcess(f"127.0.0.1:{grpc}", http_url, f"http://127.0.0.1:{metrics}/metrics", log, process)
    try:
        _await_ready(triton, model, timeout_s)
    except BaseException:
        triton.stop()
        raise
    return triton


@functools.cache
def triton_home() -> Path:
    """The folder of the local Triton, prepared by `hack/images/triton-local` if need be (a few seconds, once)."""
    ended = subprocess.run([ROOT / "hack/images/triton-local"], capture_output=True, text=True, check=False)
    if ended.returncode:
        raise TritonStartError(f"hack/images/triton-local failed: {ended.stderr.strip()}")
    return Path(ended.stdout.strip().splitlines()[-1])


TINY_MODEL = """\
import hashlib
import os
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        time.sleep(float(os.environ.get("DEMO_DELAY_MS", "0")) / 1000)
        texts = pb_utils.get_input_tensor_by_name(request, "text").as_numpy().reshape(-1)
        rows = np.stack([vector(text) for text in texts]) if len(texts) else np.zeros((0, DIMENSIONS), np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("embedding", rows)])


def vector(text):
    seed = int.from_bytes(hashlib.sha256(SALT + text).digest()[:8], "little")
    row = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return row / np.linalg.norm(row)
"""


def tiny_repository(folder: Path, *, model: str = "tiny", dimensions: int = 8, salt: str = "") -> Path:
    """Write a model repository that loads in a second and return it.

    It answers each text of input `text` (BYTES [-1]) with a unit vector, output `embedding` (FP32 [-1, dimensions]),
    that depends on nothing but the text and `salt`: two servers with one salt agree bit for bit, with two they are
    strangers. DEMO_DELAY_MS in the server's environment makes every request that much slower.
    """
    (folder / model / "1").mkdir(parents=True)
    constants = f"\nDIMENSIONS = {dimensions}\nSALT = {salt.encode()!r}\n"
    (folder / model / "1/model.py").write_text(TINY_MODEL + constants)
    (folder / model / "config.pbtxt").write_text(
        f'name: "{model}"\nbackend: "python"\nmax_batch_size: 0\n'
        'input [{ name: "text", data_type: TYPE_STRING, dims: [ -1 ] }]\n'
        f'output [{{ name: "embedding", data_type: TYPE_FP32, dims: [ -1, {dimensions} ] }}]\n'
        "instance_group [{ count: 1, kind: KIND_CPU }]\n"
    )
    return folder


def _await_ready(triton: TritonProcess, model: str, timeout_s: float) -> None:
    for _ in range(int(timeout_s / _POLL_S)):
        if _model_ready(triton, model):
            return
        try:
            triton.process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        raise TritonStartError(
            f"Triton ended with status {triton.process.returncode} before {model} was ready:\n{_tail(triton.log)}"
        )
    raise TritonStartError(f"Triton: model {model} not ready after {timeout_s:.0f} s:\n{_tail(triton.log)}")


def _model_ready(triton: TritonProcess, model: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{triton.http_url}/v2/models/{model}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago; all are held at once, so they differ."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(s.getsockname()[1]) for s in sockets]
    for each in sockets:
        each.close()
    return ports


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the stubs too: they outlive a server that was killed."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _shm_prefix(http_url: str) -> str:
    return f"assay-triton-{os.getpid()}-{http_url.rpartition(':')[2]}"


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])
