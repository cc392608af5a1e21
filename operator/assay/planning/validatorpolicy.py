"""ValidatorPolicy: one assignment, one Job and one report an epoch.

Invariants: the assignment's digest stands in the status before the Job exists, so a report can be held against what was
given; a Job whose assignment is not the one in the status is deleted, not trusted; an epoch that has its report gets no
further Job.
"""

import math
from dataclasses import dataclass
from datetime import datetime

from assay.api import (
    Assignment,
    AssignmentStatus,
    EpochStatus,
    LastScored,
    RecentEpoch,
    ScoreReport,
    Subnet,
    ValidatorConsensus,
    ValidatorMembership,
    ValidatorPolicyStatus,
    to_wire,
)
from assay.desired.assignment import Reference, address, assignment
from assay.desired.names import epoch_name
from assay.desired.podtemplate import PodTemplateRefused
from assay.desired.scoring_job import assignment_config_map, role_binding, scoring_job, service_account
from assay.planning import validator_conditions as conditions
from assay.planning.conditions import Verdict, dated
from assay.planning.membership import Roster
from assay.planning.plan import Apply, Create, Delete, Effect, Plan
from assay.planning.reports import assigned_miners, report_digest
from assay.planning.validator_draft import Snapshot, StoredJob, open_epoch, row_of, seconds_until

RECENT_LIMIT = 5
REFERENCE_PATIENCE = 1 / 3
"""Share of the scoring window for which a reference that is not ready is waited for."""
UNREACHABLE = "grpc://reference-not-found.invalid:8001"
"""An address that no resolver answers (RFC 6761), for a reference that does not exist."""


@dataclass(frozen=True)
class Turn:
    """What is done for the open epoch in this pass."""

    effects: tuple[Effect, ...] = ()
    assignment: AssignmentStatus | None = None
    requeue_after_s: float | None = None


def plan(seen: Snapshot, now: datetime) -> Plan:
    """What the validator needs now."""
    problem = _problem(seen)
    identity: tuple[Effect, ...] = (Apply(service_account(seen.policy)), Apply(role_binding(seen.policy)))
    turn = Turn(assignment=seen.policy.status.assignment) if problem else _turn(seen, now)
    return Plan(
        effects=(*identity, *turn.effects, *_collected(seen)),
        status=to_wire(_status(seen, turn, problem, now)),
        requeue_after_s=turn.requeue_after_s,
    )


def _turn(seen: Snapshot, now: datetime) -> Turn:
    """Move the open epoch one step on: assignment, its digest into the status, Job."""
    epoch = open_epoch(seen)
    held = seen.policy.status.assignment
    if epoch is None or _report(seen, epoch) is not None:
        return Turn(assignment=held)
    left_s = seconds_until(epoch.scoring_deadline, now)
    if seen.policy.spec.suspend or not conditions.permitted(seen).holds or left_s < 1:
        return Turn(assignment=held)
    given = held if held is not None and held.epoch == epoch.number else None
    stored = seen.assignments.get(_name(seen, epoch))
    if stored is not None and given is not None and stored.digest == given.digest:
        return Turn(_job_effects(seen, epoch, left_s), given)
    return _assign(seen, epoch, given, now)


def _assign(seen: Snapshot, epoch: EpochStatus, given: AssignmentStatus | None, now: datetime) -> Turn:
    """Bring the assignment and its digest in the status together.

    What is stored counts only if it is what was given, or, before any was given, what would be given now. Anything else
    under the name is not the operator's, and goes.
    """
    if given is None and (wait_s := _reference_wait_s(seen, epoch, now)) > 0:
        return Turn(assignment=seen.policy.status.assignment, requeue_after_s=wait_s)
    stored = seen.assignments.get(_name(seen, epoch))
    wanted = _assignment(seen)
    wanted_status = AssignmentStatus(epoch=epoch.number, digest=wanted.digest())
    if stored is None:
        # Deleted by hand, and the facts have moved since: the status must not vouch for bytes that are gone.
        kept = given if given is not None and given.digest == wanted.digest() else None
        return Turn((Create(assignment_config_map(seen.policy, wanted)),), kept)
    if given is None and stored.digest == wanted.digest():
        return Turn(assignment=wanted_status)
    return Turn((Delete("v1", "ConfigMap", seen.policy.metadata.namespace, stored.name, stored.uid),), given)


def _job_effects(seen: Snapshot, epoch: EpochStatus, left_s: float) -> tuple[Effect, ...]:
    """The Job for the assignment in the status, or the end of one for another assignment."""
    stored = seen.assignments[_name(seen, epoch)]
    job = seen.jobs.get(stored.name)
    if job is None:
        task = Assignment.parse_file(stored.text.encode())
        return (Create(_job(seen, task, math.ceil(left_s))),)
    return (_delete_job(seen, job),) if job.assignment_digest != stored.digest else ()


def _job(seen: Snapshot, task: Assignment, active_deadline_s: int) -> dict[str, object]:
    # A Job that is gone while its epoch is open is made again, so a finished one has to stay for as long: or one that
    # brought no report would be run again and again, and one whose report is not seen yet a second time.
    return scoring_job(
        seen.policy,
        task,
        image=seen.settings.scorer_image,
        active_deadline_s=active_deadline_s,
        ttl_s=max(int(seen.policy.spec.job.ttl_after_finished_s), active_deadline_s),
    )


def _assignment(seen: Snapshot) -> Assignment:
    subnet = seen.subnet
    if subnet is None or subnet.status.epoch is None:
        raise ValueError(f"{seen.policy.subject}: an assignment needs a subnet with an open epoch")
    roster = Roster(subnet.status.miners, subnet.status.validators)
    miners = assigned_miners(roster, subnet.status.epoch.number)
    return assignment(seen.policy, subnet, miners, seen.deployments, _reference(seen), seen.settings.challenge_secret)


def _reference(seen: Snapshot) -> Reference | None:
    reference = seen.policy.spec.reference
    if reference is None:
        return None
    if reference.endpoint is not None:
        return Reference(reference.endpoint.url)
    url = address(seen.reference) if seen.reference else None
    # Without an address there is nothing to compare with; the scorer then reports that its reference cannot be reached.
    return Reference(url or UNREACHABLE)


def _reference_wait_s(seen: Snapshot, epoch: EpochStatus, now: datetime) -> float:
    """Seconds for which the start of scoring still waits for the reference; 0 to start now."""
    if conditions.reference_ready(seen).holds:
        return 0
    window_s = seconds_until(epoch.scoring_deadline, now) - seconds_until(epoch.started_at, now)
    return max(0.0, REFERENCE_PATIENCE * window_s + seconds_until(epoch.started_at, now))


def _problem(seen: Snapshot) -> str:
    """What in the spec cannot be carried out although the schema allows it; empty if nothing."""
    if seen.subnet is None or seen.subnet.status.epoch is None:
        return ""
    try:
        _job(seen, _assignment(seen), 1)
    except PodTemplateRefused as refused:
        return f"spec.job.{refused}"
    return ""


def _status(seen: Snapshot, turn: Turn, problem: str, now: datetime) -> ValidatorPolicyStatus:
    policy = seen.policy
    return ValidatorPolicyStatus(
        observed_generation=policy.metadata.generation,
        membership=_membership(seen),
        assignment=turn.assignment,
        last_scored=_last_scored(seen),
        consensus=_consensus(seen),
        recent=_recent(seen),
        conditions=tuple(
            dated(_verdicts(seen, problem), policy.status.conditions, generation=policy.metadata.generation, now=now)
        ),
    )


def _verdicts(seen: Snapshot, problem: str) -> list[Verdict]:
    parts = [conditions.accepted(problem), conditions.permitted(seen), conditions.reference_ready(seen)]
    epoch = open_epoch(seen)
    job = seen.jobs.get(_name(seen, epoch)) if epoch else None
    report = _report(seen, epoch) if epoch else _newest_report(seen)
    return [conditions.ready(parts), *parts, conditions.scoring(seen, job, report)]


def _membership(seen: Snapshot) -> ValidatorMembership | None:
    row = row_of(seen)
    if row is None or seen.subnet is None:
        return None
    name = str(seen.subnet.metadata.namespaced_name)
    return ValidatorMembership(subnet=name, uid=row.uid, stake=row.stake, permit=row.permit)


def _consensus(seen: Snapshot) -> ValidatorConsensus | None:
    row, committed = row_of(seen), seen.subnet.status.committed if seen.subnet else None
    if row is None or committed is None or row.registered_epoch > committed.number:
        return None
    return ValidatorConsensus(epoch=committed.number, trust=row.trust, dividends=row.dividends, emission=row.emission)


def _last_scored(seen: Snapshot) -> LastScored | None:
    report = _newest_report(seen)
    if report is None:
        last = seen.policy.status.last_scored
        return None if last is not None and _is_of_another_subnet(seen, last.epoch) else last
    scores = report.spec.scores
    return LastScored(
        epoch=report.spec.epoch,
        report=report.metadata.name,
        miners=len(scores),
        failures=sum(score.failures for score in scores),
    )


def _recent(seen: Snapshot) -> tuple[RecentEpoch, ...]:
    """How the latest epochs went, newest first: what is known from before, corrected by what is there."""
    facts = {past.epoch: past for past in seen.policy.status.recent if not _is_of_another_subnet(seen, past.epoch)}
    epoch = open_epoch(seen)
    job = seen.jobs.get(_name(seen, epoch)) if epoch else None
    if epoch is not None and job is not None:
        facts[epoch.number] = RecentEpoch(epoch=epoch.number, job_outcome="Failed" if job.failure else "Running")
    for number, past in facts.items():
        if past.job_outcome == "Running" and (epoch is None or number != epoch.number):
            facts[number] = past.model_copy(update={"job_outcome": "Missed"})
    for report in seen.reports.values():
        if seen.subnet is not None and not _is_on(report, seen.subnet):
            continue
        outcome = "ReportedFailure" if report.spec.failure else "Reported"
        facts[report.spec.epoch] = RecentEpoch(
            epoch=report.spec.epoch, job_outcome=outcome, report_digest=report_digest(report)
        )
    return tuple(facts[number] for number in sorted(facts, reverse=True)[:RECENT_LIMIT])


def _collected(seen: Snapshot) -> tuple[Effect, ...]:
    """Delete what is older than the history, and what is of a subnet that had the name before.

    The last report that still counts is never among it.
    """
    subnet, row = seen.subnet, row_of(seen)
    if subnet is None:
        return ()
    committed = subnet.status.committed.number if subnet.status.committed else 0
    oldest = committed - max(2, subnet.spec.epoch.history_limit) + 1
    counted = row.last_report_epoch if row and row.last_report_epoch else 0
    policy = seen.policy.metadata

    def is_past(name: str, epoch: int) -> bool:
        return epoch < oldest or name != epoch_name(policy.name, policy.uid, subnet.metadata.uid, epoch)

    return (
        *(
            Delete("v1", "ConfigMap", policy.namespace, old.name, old.uid)
            for old in seen.assignments.values()
            if is_past(old.name, old.epoch)
        ),
        *(_delete_job(seen, old) for old in seen.jobs.values() if is_past(old.name, old.epoch)),
        *(
            Delete("assay.dev/v1alpha1", "ScoreReport", policy.namespace, old.metadata.name, old.metadata.uid)
            for old in seen.reports.values()
            if old.spec.epoch < min(oldest, counted or oldest) or not _is_on(old, subnet)
        ),
    )


def _delete_job(seen: Snapshot, job: StoredJob) -> Delete:
    return Delete("batch/v1", "Job", seen.policy.metadata.namespace, job.name, job.uid)


def _name(seen: Snapshot, epoch: EpochStatus) -> str:
    policy, subnet_uid = seen.policy.metadata, seen.subnet.metadata.uid if seen.subnet else ""
    return epoch_name(policy.name, policy.uid, subnet_uid, epoch.number)


def _report(seen: Snapshot, epoch: EpochStatus) -> ScoreReport | None:
    return seen.reports.get(_name(seen, epoch))


def _newest_report(seen: Snapshot) -> ScoreReport | None:
    reports = [one for one in seen.reports.values() if seen.subnet is None or _is_on(one, seen.subnet)]
    return max(reports, key=lambda report: report.spec.epoch, default=None)


def _is_on(report: ScoreReport, subnet: Subnet) -> bool:
    return report.spec.subnet.uid == subnet.metadata.uid


def _is_of_another_subnet(seen: Snapshot, epoch: int) -> bool:
    """Whether an epoch cannot be one of the subnet as it is: it was made anew, or the policy has moved."""
    if seen.subnet is None:
        return False
    return epoch > (seen.subnet.status.epoch.number if seen.subnet.status.epoch else 0)
