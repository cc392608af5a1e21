"""The fixture itself: nothing of a Triton remains after its test, even if the test process is killed."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from triton import TritonStartError, start_triton, tiny_repository

SUPPORT = Path(__file__).resolve().parents[1] / "support"
SERVE_AND_WAIT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from triton import start_triton, tiny_repository
print(start_triton(tiny_repository(Path(sys.argv[2])), model="tiny").pid, flush=True)
sys.stdin.read()
"""


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_stop_leaves_no_process_no_shared_memory_and_no_log(tmp_path: Path) -> None:
    shared_memory = Path("/dev/shm")  # noqa: S108
    triton = start_triton(tiny_repository(tmp_path), model="tiny")
    assert list(shared_memory.glob(f"assay-triton-{os.getpid()}-*"))
    triton.stop()
    triton.stop()
    assert not alive(triton.pid)
    assert not list(shared_memory.glob(f"assay-triton-{os.getpid()}-*"))
    assert not triton.log.exists()


def test_it_dies_with_the_test_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SERVE_AND_WAIT, SUPPORT, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as test:
        assert test.stdout is not None
        server = int(test.stdout.readline())
        gone = os.pidfd_open(server)
        test.send_signal(signal.SIGKILL)
    poll = select.poll()
    poll.register(gone, select.POLLIN)
    assert poll.poll(10_000), "Triton outlived the process that started it"


def test_a_model_that_cannot_load_is_an_error_with_the_log(tmp_path: Path) -> None:
    repository = tiny_repository(tmp_path)
    (repository / "tiny/1/model.py").write_text("raise RuntimeError('no such weights')")
    with pytest.raises(TritonStartError, match=r"(?s)ended with status 1 before tiny was ready.*no such weights"):
        start_triton(repository, model="tiny")
