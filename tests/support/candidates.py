"""Processes that campaign for a lease, watched from a test: see lease_candidate.py."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import waiting

_PROGRAM = Path(__file__).resolve().parent / "lease_candidate.py"


class Candidate:
    """A process of its own that campaigns."""

    def __init__(self, process: asyncio.subprocess.Process, identity: str) -> None:
        self.process = process
        self.identity = identity
        self.diary: list[dict[str, Any]] = []
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, kubeconfig: Path, namespace: str, identity: str, server: str = "") -> "Candidate":
        argv = [str(_PROGRAM), str(kubeconfig), namespace, "it", identity, *([server] if server else [])]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        return cls(process, identity)

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.diary.append(json.loads(line))

    @property
    def terms(self) -> list[int]:
        return [entry["term"] for entry in self.diary if entry["what"] == "leads"]

    @property
    def leads(self) -> bool:
        return bool(self.diary) and self.diary[-1]["what"] in {"leads", "still"}

    async def watches(self) -> None:
        """Wait until it has had the time to see who leads: how long it waits for a silent leader counts from then."""
        await waiting.until(lambda: self.diary, 30, "the process campaigns")
        await asyncio.sleep(1.5)

    def intervals(self) -> list[tuple[float, float, int]]:
        """From when to when it acted as a leader, and in which term."""
        spans: dict[int, tuple[float, float]] = {}
        for entry in self.diary[1:]:
            first, _ = spans.get(entry["term"], (entry["at_s"], 0.0))
            spans[entry["term"]] = (first, entry["at_s"])
        return [(first, last, term) for term, (first, last) in spans.items()]

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()
        await self._reading
