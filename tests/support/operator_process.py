"""The operator as a local process, under the service account and the rights that the chart gives it.

Owns the processes it starts, and ends them by their own pid. A restart keeps the identity, as the kubelet does when it
restarts a container of a pod. It must never speak for the operator: what the tests want to know of it they learn from
the API server, from its log and from its own health and metrics.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3
import yaml

from installed_chart import NAMESPACE, RELEASE, Installation, wait_until

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/assay-operator"
SEED = f"/api/v1/namespaces/{NAMESPACE}/secrets/assay-challenge-seed"
SCORER_IMAGE = "localhost/assay/scorer:test"
TRITON_IMAGE = "localhost/assay/triton:test"
RECONCILING = "all caches are complete; reconciling"
TOKEN_S = 6 * 3600
GRACE_S = 30
"""What a pod's terminationGracePeriodSeconds leaves it."""


def operator_kubeconfig(server: Installation, folder: Path, *, through: str | None = None) -> Path:
    """The cluster's kubeconfig with the operator's token in the place of the admin's certificate.

    `through` is the address of a proxy to use instead of the API server's own.
    """
    config = yaml.safe_load(server.cluster.kubectl("config", "view", "--raw", "--flatten"))
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{RELEASE}/token"
    spec = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": TOKEN_S}}
    config["users"][0]["user"] = {"token": server.must("POST", path, spec)["status"]["token"]}
    if through is not None:
        config["clusters"][0]["cluster"] = {"server": through}
    target = folder / f"kubeconfig-{'proxy' if through else 'operator'}"
    target.touch(mode=0o600)
    target.write_text(yaml.safe_dump(config))
    return target


@dataclass
class OperatorProcess:
    """One replica. Start it, kill it, start it again: the log goes on, the identity stays."""

    kubeconfig: Path
    folder: Path
    identity: str = "assay-0"
    program: tuple[str, ...] = ("-m", "assay", "operator")
    started_at_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = None
    _read_from: int = 0
    _ports: tuple[int, int] = field(default_factory=lambda: (_free_port(), _free_port()))

    @property
    def log_path(self) -> Path:
        """What it said in all its lives."""
        return self.folder / f"{self.identity}.log"

    @property
    def pid(self) -> int:
        """The process's id. Fails if none runs."""
        assert self._process is not None, f"{self.identity} was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start a process; the one before must have ended."""
        assert not self.is_running, f"{self.identity} runs already"
        health, metrics = self._ports
        self._read_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        argv = [
            *(sys.executable, *self.program, f"--kubeconfig={self.kubeconfig}"),
            *(f"--scorer-image={SCORER_IMAGE}", f"--triton-image={TRITON_IMAGE}"),
            *(f"--health-port={health}", f"--metrics-port={metrics}", "--log-level=INFO"),
        ]
        self.started_at_s = time.monotonic()
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                argv,
                env={**os.environ, "POD_NAMESPACE": NAMESPACE, "POD_NAME": self.identity},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def start_and_lead(self, timeout_s: float = 30) -> float:
        """Start, and wait until it reconciles. Returns how long that took, in seconds."""
        self.start()
        self.wait_leading(timeout_s)
        return time.monotonic() - self.started_at_s

    def wait_leading(self, timeout_s: float = 30) -> None:
        """Wait until this life of it leads with complete caches."""
        wait_until(self.is_reconciling, f"{self.identity} reconciles; its log: {self.log_path}", timeout_s)

    def is_reconciling(self) -> bool:
        """Whether this life of it has begun to reconcile. Fails if it has ended by itself."""
        assert self.is_running, f"{self.identity} ended:\n{self.text()[-4000:]}"
        return RECONCILING in self.text()

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._send(signal.SIGKILL)
        self._ended(10)

    def terminate(self, within_s: float = GRACE_S) -> float:
        """SIGTERM, and wait for the end, which must be clean. Returns how long it took, in seconds."""
        asked_s = time.monotonic()
        self._send(signal.SIGTERM)
        code = self._ended(within_s)
        assert code == 0, f"{self.identity} exited {code} on SIGTERM:\n{self.text()[-4000:]}"
        return time.monotonic() - asked_s

    def pause(self) -> None:
        """SIGSTOP: it is there, and does nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """End it however it stands."""
        if self.is_running:
            self._send(signal.SIGCONT)
            self.kill()

    def text(self) -> str:
        """What this life of it has said so far."""
        with self.log_path.open("rb") as log:
            log.seek(self._read_from)
            return log.read().decode(errors="replace")

    def lines(self, level: str | None = None) -> Iterator[dict[str, Any]]:
        """The structured lines of all its lives, or those of one level."""
        for line in self.log_path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if level is None or entry.get("level") == level:
                yield entry

    def health(self, path: str = "/healthz", timeout_s: float = 5) -> tuple[int, str]:
        """The answer of its health port: status and body; status 0 while nobody listens."""
        try:
            answer = urllib3.request(
                "GET", f"http://127.0.0.1:{self._ports[0]}{path}", timeout=timeout_s, retries=False
            )
        except urllib3.exceptions.HTTPError as error:
            return 0, str(error)
        return answer.status, answer.data.decode()

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        answer = urllib3.request("GET", f"http://127.0.0.1:{self._ports[1]}/metrics", timeout=5)
        samples = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", answer.data.decode(), re.MULTILINE)
        return sum(float(sample) for sample in samples)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None, f"{self.identity} was never started"
        self._process.send_signal(number)

    def _ended(self, within_s: float) -> int:
        assert self._process is not None, f"{self.identity} was never started"
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.identity} did not end within {within_s:g} s:\n{self.text()[-4000:]}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
