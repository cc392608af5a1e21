"""What a ValidatorPolicy's plan reads, and the questions that its phases ask of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assay.api import (
    EpochStatus,
    ModelDeployment,
    ScoreReport,
    Subnet,
    ValidatorPolicy,
    ValidatorStatus,
    digest_of,
)


@dataclass(frozen=True)
class Settings:
    """What the operator was started with and a validator's children depend on."""

    scorer_image: str
    challenge_secret: bytes


@dataclass(frozen=True)
class StoredAssignment:
    """An assignment's ConfigMap as it stands in the cluster."""

    name: str
    uid: str
    epoch: int
    text: str

    @property
    def digest(self) -> str:
        """Digest of the bytes that a scorer reads."""
        return digest_of(self.text.encode())


@dataclass(frozen=True)
class StoredJob:
    """A scoring Job as it stands in the cluster; `failure` says why it failed or its pod does not start."""

    name: str
    uid: str
    epoch: int
    assignment_digest: str
    finished: bool
    failure: str = ""


@dataclass(frozen=True)
class Snapshot:
    """All that a ValidatorPolicy's plan reads.

    Attributes:
        policy: the object itself.
        subnet: the Subnet it names, if there is one.
        deployments: the ModelDeployments of the subnet's miners, by object UID.
        reference: the ModelDeployment that its reference names, if there is one.
        assignments: its assignments, by name.
        jobs: its Jobs, by name.
        reports: its ScoreReports, by name.
        settings: the operator's.
    """

    policy: ValidatorPolicy
    subnet: Subnet | None
    deployments: Mapping[str, ModelDeployment]
    reference: ModelDeployment | None
    assignments: Mapping[str, StoredAssignment]
    jobs: Mapping[str, StoredJob]
    reports: Mapping[str, ScoreReport]
    settings: Settings


def row_of(seen: Snapshot) -> ValidatorStatus | None:
    """The validator's row in its subnet."""
    if seen.subnet is None:
        return None
    return next((row for row in seen.subnet.status.validators if row.object_uid == seen.policy.metadata.uid), None)


def open_epoch(seen: Snapshot) -> EpochStatus | None:
    """The epoch that this validator is to score: open, and not before it was registered."""
    row = row_of(seen)
    if seen.subnet is None or row is None or seen.subnet.status.epoch is None:
        return None
    epoch, committed = seen.subnet.status.epoch, seen.subnet.status.committed
    is_open = epoch.number > (committed.number if committed else 0)
    return epoch if is_open and row.registered_epoch <= epoch.number else None


def seconds_until(moment: str, now: datetime) -> float:
    """Seconds from now until an RFC 3339 moment; negative once it has passed."""
    return (datetime.fromisoformat(moment) - now).total_seconds()


def labelled_epoch(obj: Mapping[str, Any], label: str) -> int:
    """The epoch that a child's label names; -1 where it names none."""
    value = str((obj["metadata"].get("labels") or {}).get(label, ""))
    return int(value) if value.isdigit() else -1
