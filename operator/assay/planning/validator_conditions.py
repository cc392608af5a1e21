"""A ValidatorPolicy's conditions and their reasons: a closed set.

`docs/reference/conditions.md` is rendered from the texts here; a reason that is not in the set cannot be reported.
"""

from enum import StrEnum
from typing import Final

from assay.api import NamespacedName, ScoreReport
from assay.planning.conditions import Verdict, conjunction, no, unknown, yes
from assay.planning.validator_draft import Snapshot, StoredJob, open_epoch, row_of


class ValidatorReason(StrEnum):
    """Why a ValidatorPolicy's condition holds or does not."""

    VALIDATOR_READY = "ValidatorReady"
    ACCEPTED = "Accepted"
    INVALID_SPEC = "InvalidSpec"
    SUBNET_NOT_FOUND = "SubnetNotFound"
    NOT_LISTED = "NotListed"
    REGISTRATION_PENDING = "RegistrationPending"
    NO_STAKE = "NoStake"
    NO_PERMIT = "NoPermit"
    PERMITTED = "Permitted"
    REFERENCE_NOT_FOUND = "ReferenceNotFound"
    REFERENCE_IS_MINER = "ReferenceIsMiner"
    REFERENCE_NOT_READY = "ReferenceNotReady"
    REFERENCE_READY = "ReferenceReady"
    REFERENCE_EXTERNAL = "ReferenceExternal"
    REFERENCE_NOT_NEEDED = "ReferenceNotNeeded"
    SUSPENDED = "Suspended"
    WAITING_FOR_EPOCH = "WaitingForEpoch"
    JOB_PENDING = "JobPending"
    JOB_RUNNING = "JobRunning"
    JOB_FAILED = "JobFailed"
    REPORTED = "Reported"
    REPORTED_FAILURE = "ReportedFailure"
    REFUSED = "Refused"


MEANINGS: Final[dict[ValidatorReason, str]] = {
    ValidatorReason.VALIDATOR_READY: "The validator can judge, and its reports count.",
    ValidatorReason.ACCEPTED: "The spec can be carried out.",
    ValidatorReason.INVALID_SPEC: "The spec cannot be carried out; the message names field and remedy.",
    ValidatorReason.SUBNET_NOT_FOUND: "The Subnet that `spec.subnetRef` names does not exist.",
    ValidatorReason.NOT_LISTED: "The Subnet's owner has not listed this validator in its `spec.validators`.",
    ValidatorReason.REGISTRATION_PENDING: "It is listed, and has no number in the Subnet yet.",
    ValidatorReason.NO_STAKE: "The Subnet's owner gives it a stake of 0: its reports do not count.",
    ValidatorReason.NO_PERMIT: "It is not among the `spec.consensus.maxValidators` validators with the most stake.",
    ValidatorReason.PERMITTED: "Its reports count; the message has its number and stake.",
    ValidatorReason.REFERENCE_NOT_FOUND: "The ModelDeployment that `spec.reference` names does not exist here.",
    ValidatorReason.REFERENCE_IS_MINER: "The reference names a subnet itself: a miner cannot be its own yardstick.",
    ValidatorReason.REFERENCE_NOT_READY: "The reference exists and is not ready; the message says why.",
    ValidatorReason.REFERENCE_READY: "The reference serves.",
    ValidatorReason.REFERENCE_EXTERNAL: "The reference is an endpoint; only the scorer asks it.",
    ValidatorReason.REFERENCE_NOT_NEEDED: "The dataset has the expected outputs, so nothing is asked.",
    ValidatorReason.SUSPENDED: "`spec.suspend` is true: no scoring Job starts, and epochs do not wait for its report.",
    ValidatorReason.WAITING_FOR_EPOCH: "No epoch is open in which this validator takes part.",
    ValidatorReason.JOB_PENDING: "An epoch is open, and its scoring Job is about to be made.",
    ValidatorReason.JOB_RUNNING: "The scoring Job of the open epoch runs.",
    ValidatorReason.JOB_FAILED: "The scoring Job failed, or its pod cannot start; the message has the words.",
    ValidatorReason.REPORTED: "The report of the open epoch, or else of the last one, is filed.",
    ValidatorReason.REPORTED_FAILURE: "The report is filed, and says why it has no scores.",
    ValidatorReason.REFUSED: "The API server refuses an object that scoring needs; the message has its words.",
}

REMEDIES: Final[dict[ValidatorReason, str]] = {
    ValidatorReason.INVALID_SPEC: "Correct the field that the message names.",
    ValidatorReason.SUBNET_NOT_FOUND: "Create the Subnet, or correct `spec.subnetRef`.",
    ValidatorReason.NOT_LISTED: "Ask the Subnet's owner for stake.",
    ValidatorReason.REGISTRATION_PENDING: "It takes one pass of the operator; if it lasts, see whether it runs.",
    ValidatorReason.NO_STAKE: "Ask the Subnet's owner for stake.",
    ValidatorReason.NO_PERMIT: "Ask the Subnet's owner for more stake, or for a higher `maxValidators`.",
    ValidatorReason.REFERENCE_NOT_FOUND: "Create it in this namespace, or correct the name.",
    ValidatorReason.REFERENCE_IS_MINER: "Remove its `spec.subnetRef`, or name another ModelDeployment.",
    ValidatorReason.REFERENCE_NOT_READY: "See the conditions of that ModelDeployment.",
    ValidatorReason.SUSPENDED: "Set `spec.suspend` to false.",
    ValidatorReason.JOB_FAILED: "`kubectl describe job` and the pod's log, while `job.ttlAfterFinished` keeps them.",
    ValidatorReason.REPORTED_FAILURE: "Do what the message says; most often the reference was not ready in time.",
    ValidatorReason.REFUSED: "Remove what forbids it: a quota, an admission policy, missing rights of the operator.",
}
"""What to do, for every reason that asks for something."""

CONDITIONS: Final[dict[str, str]] = {
    "Ready": "Accepted, Permitted and ReferenceReady all hold.",
    "Accepted": "The spec can be carried out.",
    "Permitted": "The Subnet lists the validator with enough stake for its reports to count.",
    "ReferenceReady": "There is something to compare answers with.",
    "Scoring": "The open epoch is being scored or reported; between epochs, the last one was.",
}
"""The condition types of a ValidatorPolicy in the order in which they are written."""


def accepted(problem: str) -> Verdict:
    """Whether the spec can be carried out; `problem` is empty if it can."""
    return (
        no("Accepted", ValidatorReason.INVALID_SPEC, problem) if problem else yes("Accepted", ValidatorReason.ACCEPTED)
    )


def permitted(seen: Snapshot) -> Verdict:
    """Whether the validator's reports count in its subnet."""
    policy, subnet, row = seen.policy, seen.subnet, row_of(seen)
    name = policy.spec.subnet_ref.resolve(policy.metadata.namespace)
    if subnet is None:
        return no(
            "Permitted",
            ValidatorReason.SUBNET_NOT_FOUND,
            f"there is no Subnet {name}; create it or correct spec.subnetRef",
        )
    listed = {entry.policy_ref.namespaced_name for entry in subnet.spec.validators}
    if NamespacedName(policy.metadata.namespace, policy.metadata.name) not in listed:
        remedy = "its owner gives stake in spec.validators"
        return no("Permitted", ValidatorReason.NOT_LISTED, f"Subnet {name} does not list this validator; {remedy}")
    if row is None:
        return unknown("Permitted", ValidatorReason.REGISTRATION_PENDING, f"Subnet {name} has not entered it yet")
    if row.stake == 0:
        return no("Permitted", ValidatorReason.NO_STAKE, f"Subnet {name} gives it a stake of 0")
    if not row.permit:
        limit = subnet.spec.consensus.max_validators
        return no("Permitted", ValidatorReason.NO_PERMIT, f"it is not among the {limit} validators with the most stake")
    return yes("Permitted", ValidatorReason.PERMITTED, f"UID {row.uid} in Subnet {name}, stake {row.stake}")


def reference_ready(seen: Snapshot) -> Verdict:
    """Whether there is something to compare answers with."""
    reference = seen.policy.spec.reference
    if reference is None:
        return yes("ReferenceReady", ValidatorReason.REFERENCE_NOT_NEEDED, "the dataset has the expected outputs")
    if reference.model_deployment_ref is None:
        return yes("ReferenceReady", ValidatorReason.REFERENCE_EXTERNAL, "an endpoint of the validator's own")
    name = f"{seen.policy.metadata.namespace}/{reference.model_deployment_ref.name}"
    if seen.reference is None:
        remedy = "create it or correct spec.reference"
        return no(
            "ReferenceReady", ValidatorReason.REFERENCE_NOT_FOUND, f"there is no ModelDeployment {name}; {remedy}"
        )
    if seen.reference.spec.subnet_ref is not None:
        remedy = "a reference is the validator's own replica: remove its spec.subnetRef or name another"
        return no("ReferenceReady", ValidatorReason.REFERENCE_IS_MINER, f"ModelDeployment {name} is a miner; {remedy}")
    ready = next((one for one in seen.reference.status.conditions if one.type == "Ready"), None)
    if ready is None or ready.status != "True":
        why = f": {ready.reason}: {ready.message}" if ready else ""
        return no("ReferenceReady", ValidatorReason.REFERENCE_NOT_READY, f"ModelDeployment {name} is not ready{why}")
    return yes("ReferenceReady", ValidatorReason.REFERENCE_READY, f"ModelDeployment {name}")


def scoring(seen: Snapshot, job: StoredJob | None, report: ScoreReport | None) -> Verdict:
    """How scoring of the open epoch goes, else how the last one went."""
    if seen.policy.spec.suspend:
        return no("Scoring", ValidatorReason.SUSPENDED, "spec.suspend is true; no Job starts until it is false")
    if report is not None and report.spec.failure is not None:
        failure = report.spec.failure
        message = f"epoch {report.spec.epoch}: {failure.reason}: {failure.message}"
        return no("Scoring", ValidatorReason.REPORTED_FAILURE, message)
    if report is not None:
        return yes("Scoring", ValidatorReason.REPORTED)
    if open_epoch(seen) is None:
        return unknown("Scoring", ValidatorReason.WAITING_FOR_EPOCH)
    if job is None:
        return yes("Scoring", ValidatorReason.JOB_PENDING)
    if job.failure:
        return no("Scoring", ValidatorReason.JOB_FAILED, f"Job {job.name}: {job.failure}")
    return yes("Scoring", ValidatorReason.JOB_RUNNING)


def ready(parts: list[Verdict]) -> Verdict:
    """Whether the validator can judge."""
    return conjunction("Ready", parts, ValidatorReason.VALIDATOR_READY)
