"""What the API server itself says was asked of it: the one witness that is neither the operator nor the test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Write:
    """One write that was carried out."""

    verb: str
    resource: str
    namespace: str
    name: str
    code: int
    at: str

    @property
    def created(self) -> bool:
        """Whether it made the object."""
        return self.code == 201

    def __str__(self) -> str:
        return f"{self.at} {self.verb} {self.resource} {self.namespace}/{self.name}: {self.code}"


class AuditLog:
    """The log from a moment on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = 0
        self.mark()

    def mark(self) -> None:
        """Look only at what comes from now on."""
        self._start = self._path.stat().st_size

    def writes(self, user: str, *, but: tuple[str, ...] = ("leases",)) -> list[Write]:
        """What a user wrote and the server carried out, in the order of its answers, but for the resources in `but`."""
        return [
            write for write in self._writes(user) if write.resource.partition("/")[0] not in but and write.code < 400
        ]

    def asked(self, user: str) -> list[Write]:
        """What a user asked to write, refused or not."""
        return list(self._writes(user))

    def creations(self, user: str, resource: str, namespace: str) -> Counter[str]:
        """How often each name of a resource was created."""
        return Counter(
            write.name
            for write in self.writes(user)
            if write.created and write.resource == resource and write.namespace == namespace
        )

    def idle_s(self, user: str) -> float:
        """How long ago the user's last write was, by the clock that the server shares with us; Lease aside."""
        last = self.writes(user)[-1:]
        return (datetime.now(UTC) - datetime.fromisoformat(last[0].at)).total_seconds() if last else float("inf")

    def _writes(self, user: str) -> Iterator[Write]:
        with self._path.open("rb") as log:
            log.seek(self._start)
            for line in log:
                if not line.endswith(b"\n") or user.encode() not in line:
                    continue
                event = json.loads(line)
                if event["verb"] in WRITING and event["user"]["username"] == user and "objectRef" in event:
                    reference = event["objectRef"]
                    parts = (reference["resource"], reference.get("subresource"))
                    yield Write(
                        verb=event["verb"],
                        resource="/".join(part for part in parts if part),
                        namespace=reference.get("namespace", ""),
                        name=reference.get("name", ""),
                        code=event.get("responseStatus", {}).get("code", 0),
                        at=event["stageTimestamp"],
                    )
