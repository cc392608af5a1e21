"""Which ScoreReports count in an epoch, and why the others do not.

A report counts by where and as what it was written, never by what it claims: it must bear the one name that follows
from subnet, epoch and validator, answer the assignment that was given, and speak only of miners that were assigned.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from assay.api import (
    MinerStatus,
    NamespacedName,
    RejectedReport,
    ScoreReport,
    Subnet,
    ValidatorStatus,
    digest_of,
    to_wire,
)
from assay.desired.names import epoch_name
from assay.planning.membership import Roster

REJECTED_LIMIT = 16


class Rejection(StrEnum):
    """Why a report does not count."""

    SUBNET_REPLACED = "SubnetReplaced"
    EPOCH_NOT_OPEN = "EpochNotOpen"
    EPOCH_CLOSED = "EpochClosed"
    NOT_A_VALIDATOR = "NotAValidator"
    VALIDATOR_REPLACED = "ValidatorReplaced"
    NO_STAKE = "NoStake"
    NO_PERMIT = "NoPermit"
    WRONG_NAME = "WrongName"
    WRONG_ASSIGNMENT = "WrongAssignment"
    UNKNOWN_MINER = "UnknownMiner"


MEANINGS: Final[dict[Rejection, str]] = {
    Rejection.SUBNET_REPLACED: "It is for a Subnet of this name that was deleted and made anew.",
    Rejection.EPOCH_NOT_OPEN: "It is for an epoch that has not opened.",
    Rejection.EPOCH_CLOSED: "It came after its epoch was committed.",
    Rejection.NOT_A_VALIDATOR: "Nobody of this name and namespace is a validator of the subnet.",
    Rejection.VALIDATOR_REPLACED: "It is by a ValidatorPolicy of this name that was deleted and made anew.",
    Rejection.NO_STAKE: "The validator has no stake.",
    Rejection.NO_PERMIT: "The validator is not among those with the most stake.",
    Rejection.WRONG_NAME: "It does not bear the one name that follows from subnet, epoch and validator.",
    Rejection.WRONG_ASSIGNMENT: "It answers another assignment than the one that was given.",
    Rejection.UNKNOWN_MINER: "It scores a number that was not assigned.",
}

REMEDIES: Final[dict[Rejection, str]] = {
    Rejection.SUBNET_REPLACED: "None: the next epoch's report is for the new Subnet.",
    Rejection.EPOCH_NOT_OPEN: "A scorer of one's own must take the epoch from its assignment.",
    Rejection.EPOCH_CLOSED: "Report before the assignment's deadline: fewer samples, or a longer `scoringWindow`.",
    Rejection.NOT_A_VALIDATOR: "The subnet's owner lists validators in `spec.validators`.",
    Rejection.VALIDATOR_REPLACED: "None: the next epoch's report is by the new policy.",
    Rejection.NO_STAKE: "The subnet's owner gives stake in `spec.validators`.",
    Rejection.NO_PERMIT: "More stake, or a higher `spec.consensus.maxValidators`.",
    Rejection.WRONG_NAME: "A scorer of one's own must use `report.name` of its assignment.",
    Rejection.WRONG_ASSIGNMENT: "A scorer of one's own must give the SHA-256 of the file it was given, byte for byte.",
    Rejection.UNKNOWN_MINER: "A scorer of one's own must report on `miners` of its assignment alone.",
}


@dataclass(frozen=True)
class Judged:
    """The reports of the open epoch by their validator's UID, and all that were rejected, newest epoch first."""

    accepted: Mapping[int, ScoreReport]
    rejected: tuple[RejectedReport, ...]


def judge(
    subnet: Subnet,
    roster: Roster,
    reports: Iterable[ScoreReport],
    assignments: Mapping[NamespacedName, str],
) -> Judged:
    """Sort the reports that name this subnet.

    Args:
        subnet: with the open epoch and the last commit in its status.
        roster: who holds which UID.
        reports: of any epoch and any validator.
        assignments: digest of the assignment given for the open epoch, by the validator's policy.
    """
    accepted: dict[int, ScoreReport] = {}
    rejected: list[RejectedReport] = []
    validators = {NamespacedName(row.namespace, row.name): row for row in roster.validators}
    for report in sorted(reports, key=_order):
        validator = NamespacedName(report.metadata.namespace, report.spec.validator.name)
        row = validators.get(validator)
        fault = _fault(subnet, roster, report, row, assignments.get(validator))
        if fault is not None:
            rejected.append(
                RejectedReport(epoch=report.spec.epoch, validator=str(validator), reason=fault[0], message=fault[1])
            )
        elif row is not None and report.spec.epoch == _open_epoch(subnet):
            accepted[row.uid] = report
    return Judged(accepted, tuple(rejected[:REJECTED_LIMIT]))


def expected_name(subnet: Subnet, row: ValidatorStatus, epoch: int) -> str:
    """The name that a validator's report of an epoch must have."""
    return epoch_name(row.name, row.object_uid, subnet.metadata.uid, epoch)


def assigned_miners(roster: Roster, epoch: int) -> tuple[MinerStatus, ...]:
    """The miners that an epoch scores: those registered by the time it opened."""
    return tuple(row for row in roster.miners if row.registered_epoch <= epoch)


def report_digest(report: ScoreReport) -> str:
    """Digest of what a report says."""
    return json_digest(to_wire(report.spec))


def json_digest(value: object) -> str:
    """`sha256:` and the SHA-256 of a value's canonical JSON: keys sorted, no spaces."""
    return digest_of(json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


Fault = tuple[Rejection, str]


def _fault(
    subnet: Subnet, roster: Roster, report: ScoreReport, row: ValidatorStatus | None, assignment: str | None
) -> Fault | None:
    return _of_another_time(subnet, report) or (
        _of_another_hand(subnet, roster, report, row, assignment) if report.spec.epoch == _open_epoch(subnet) else None
    )


def _of_another_time(subnet: Subnet, report: ScoreReport) -> Fault | None:
    """A report of a subnet that is no more, of an epoch to come, or of one that was committed without it."""
    spec = report.spec
    committed = subnet.status.committed
    if spec.subnet.uid != subnet.metadata.uid:
        return (
            Rejection.SUBNET_REPLACED,
            f"it is for the Subnet with uid {spec.subnet.uid}; this one has {subnet.metadata.uid}",
        )
    if spec.epoch > _last_epoch(subnet):
        return Rejection.EPOCH_NOT_OPEN, f"epoch {spec.epoch} has not opened; the last is {_last_epoch(subnet)}"
    if (
        committed
        and spec.epoch == committed.number
        and (report.metadata.creation_timestamp or "") > committed.committed_at
    ):
        return (
            Rejection.EPOCH_CLOSED,
            f"epoch {spec.epoch} was committed at {committed.committed_at}; report within the scoring window",
        )
    return None


def _of_another_hand(
    subnet: Subnet, roster: Roster, report: ScoreReport, row: ValidatorStatus | None, assignment: str | None
) -> Fault | None:
    """A report that is not from whom, not under the name, or not about what the open epoch asks for."""
    spec = report.spec
    if row is None:
        return Rejection.NOT_A_VALIDATOR, "no such validator; the subnet's owner lists validators in spec.validators"
    if row.object_uid != spec.validator.uid:
        return (
            Rejection.VALIDATOR_REPLACED,
            f"it is by the ValidatorPolicy with uid {spec.validator.uid}; the validator is {row.object_uid}",
        )
    if row.stake == 0:
        return Rejection.NO_STAKE, "the validator has no stake; the subnet's owner gives it in spec.validators"
    if not row.permit:
        return (
            Rejection.NO_PERMIT,
            "the validator is not among those with the most stake; see spec.consensus.maxValidators",
        )
    expected = expected_name(subnet, row, spec.epoch)
    if report.metadata.name != expected:
        return Rejection.WRONG_NAME, f"a report of this validator and epoch must be named {expected}"
    if spec.assignment_digest != assignment:
        return Rejection.WRONG_ASSIGNMENT, f"it answers {spec.assignment_digest}; given was {assignment or 'none'}"
    strangers = {score.uid for score in spec.scores} - {miner.uid for miner in assigned_miners(roster, spec.epoch)}
    if strangers:
        return Rejection.UNKNOWN_MINER, f"it scores UIDs that were not assigned: {sorted(strangers)[:8]}"
    return None


def _open_epoch(subnet: Subnet) -> int | None:
    """The epoch that takes reports: opened and not committed."""
    last = _last_epoch(subnet)
    committed = subnet.status.committed
    return last if last > (committed.number if committed else 0) else None


def _last_epoch(subnet: Subnet) -> int:
    return subnet.status.epoch.number if subnet.status.epoch else 0


def _order(report: ScoreReport) -> tuple[int, str, str]:
    return (-report.spec.epoch, report.metadata.namespace, report.metadata.name)
