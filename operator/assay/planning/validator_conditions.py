"""A ValidatorPolicy's conditions and their reasons: a closed set."""

from enum import StrEnum

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
