"""Subnet: who is a member, which epoch it is, what the consensus says.

The one place that opens and commits epochs. Invariants: an epoch opens only after the one before it is committed, and
its commit is one status write under the resourceVersion that was read, after the bonds it refers to; so whatever
happens in between, an epoch is committed once and never lost.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from assay.api import EpochStatus, NamespacedName, Subnet, SubnetStatus, SubnetTotals, ValidatorStatus, to_wire
from assay.desired.bonds import NO_BONDS, Bonds, BondsCorrupt, config_map, join, sha256_hex
from assay.epochs import NEVER, Epoch, Phase, is_closed, is_due, opened
from assay.planning.commit import close_epoch, recomputed_chunks
from assay.planning.conditions import dated, timestamp
from assay.planning.membership import Candidates, candidates, enrolled, pruned
from assay.planning.plan import Create, Delete, Emit, Plan
from assay.planning.reports import judge
from assay.planning.subnet_conditions import verdicts
from assay.planning.subnet_draft import Draft, Snapshot, StoredChunk, epoch_number, permitted, ready_miners


def plan(seen: Snapshot, now: datetime) -> Plan:
    """What the subnet needs now."""
    now = now.replace(microsecond=0)
    present = candidates(seen.subnet, seen.deployments, seen.policies, seen.namespace_labels)
    draft = _as_it_stands(seen, present)
    for phase in (_recall_bonds, _close, _open, _announce_rejections, _collect):
        draft = phase(seen, present, draft, now)
    return Plan(
        effects=draft.effects,
        status=to_wire(_status(seen, draft, now)),
        requeue_after_s=_next_moment_s(seen, draft, now),
    )


def _as_it_stands(seen: Snapshot, present: Candidates) -> Draft:
    status = seen.subnet.status
    epoch = _clock(status.epoch)
    roster = enrolled(seen.subnet, present, next_epoch=epoch.number + 1)
    assignments = {
        name: policy.status.assignment.digest
        for name, policy in seen.policies.items()
        if policy.status.assignment is not None and policy.status.assignment.epoch == epoch.number
    }
    return Draft(
        roster=roster,
        epoch=epoch,
        phase=Phase(status.epoch.phase) if status.epoch else Phase.WAITING,
        committed=status.committed,
        judged=judge(seen.subnet, roster, seen.reports.values(), assignments),
    )


def _recall_bonds(seen: Snapshot, _present: Candidates, draft: Draft, _now: datetime) -> Draft:
    """Read the bonds of the last commit; what is missing of them is recomputed and put back."""
    committed = draft.committed
    if committed is None:
        return draft
    held = [seen.chunks.get(chunk.name) for chunk in committed.bonds]
    intact = [chunk for chunk in held if chunk is not None]
    if [sha256_hex(chunk.text) for chunk in intact] == [chunk.sha256 for chunk in committed.bonds]:
        return replace(draft, bonds=join([chunk.text for chunk in intact]))
    for before in _bonds_before(seen, committed.number):
        chunks = recomputed_chunks(seen.subnet, seen.reports, before, committed)
        if chunks is not None:
            # A chunk that was altered under its name has to go before its name can be given again.
            wrong = tuple(
                _delete(seen.subnet, chunk)
                for chunk in intact
                if sha256_hex(chunk.text) not in {good.sha256 for good in chunks}
            )
            back = tuple(Create(config_map(seen.subnet, chunk, committed.number)) for chunk in chunks)
            return replace(draft, bonds=join([chunk.text for chunk in chunks]), effects=(*draft.effects, *wrong, *back))
    return replace(draft, bonds=None)


def _bonds_before(seen: Snapshot, epoch: int) -> list[Bonds]:
    """The bonds from which the commit of `epoch` may have started: what is kept of the epoch before."""
    texts = sorted(chunk.text for chunk in seen.chunks.values() if chunk.epoch == epoch - 1)
    found = [NO_BONDS]
    for start in range(len(texts)):
        try:
            found.append(join(texts[start:]))
        except BondsCorrupt:
            continue
    return found


def _close(seen: Snapshot, _present: Candidates, draft: Draft, now: datetime) -> Draft:
    """Commit the open epoch, once its reports are in or its deadline has passed."""
    if draft.epoch.number <= epoch_number(draft.committed):
        return draft
    if not is_closed(now, draft.epoch, reports_missing=len(_silent(seen, draft))):
        return replace(draft, phase=Phase.SCORING)
    commit = close_epoch(
        seen.subnet,
        draft.roster,
        draft.judged,
        seen.reports,
        draft.bonds or NO_BONDS,
        epoch=draft.epoch.number,
        now=now,
    )
    chunks = tuple(Create(config_map(seen.subnet, chunk, draft.epoch.number)) for chunk in commit.chunks)
    received = commit.committed.reports
    message = f"epoch {draft.epoch.number} committed with {received.received} of {received.expected} reports"
    return replace(
        draft,
        roster=commit.roster,
        committed=commit.committed,
        phase=Phase.WAITING,
        effects=(*draft.effects, *chunks, Emit("Normal", "EpochCommitted", message)),
    )


def _open(seen: Snapshot, present: Candidates, draft: Draft, now: datetime) -> Draft:
    """Open the next epoch, if the last one is over and there is something to score and somebody to do it."""
    spec = seen.subnet.spec
    if not is_due(now, draft.epoch, committed=epoch_number(seen.subnet.status.committed)):
        return draft
    if spec.suspend or not draft.roster.miners or not permitted(draft.roster):
        return replace(draft, phase=Phase.WAITING)
    epoch = opened(now, draft.epoch, length_s=spec.epoch.length_s, scoring_window_s=spec.epoch.scoring_window_s)
    roster = pruned(seen.subnet, draft.roster, present, next_epoch=epoch.number)
    return replace(draft, epoch=epoch, phase=Phase.SCORING, roster=roster)


def _announce_rejections(seen: Snapshot, _present: Candidates, draft: Draft, _now: datetime) -> Draft:
    known = {(past.epoch, past.validator, past.reason) for past in seen.subnet.status.rejected_reports}
    news = tuple(
        Emit(
            "Warning", "ReportRejected", f"report of {one.validator} for epoch {one.epoch}: {one.reason}: {one.message}"
        )
        for one in draft.judged.rejected
        if (one.epoch, one.validator, one.reason) not in known
    )
    return replace(draft, effects=(*draft.effects, *news))


def _collect(seen: Snapshot, _present: Candidates, draft: Draft, _now: datetime) -> Draft:
    """Delete bonds of epochs beyond the history; those of the last two commits are never among them."""
    oldest = epoch_number(seen.subnet.status.committed) - max(2, seen.subnet.spec.epoch.history_limit) + 1
    old = tuple(_delete(seen.subnet, chunk) for _, chunk in sorted(seen.chunks.items()) if chunk.epoch < oldest)
    return replace(draft, effects=(*draft.effects, *old))


def _status(seen: Snapshot, draft: Draft, now: datetime) -> SubnetStatus:
    subnet = seen.subnet
    return SubnetStatus(
        observed_generation=subnet.metadata.generation,
        epoch=_epoch_status(draft),
        committed=draft.committed,
        miners=draft.roster.miners,
        validators=draft.roster.validators,
        totals=SubnetTotals(
            miners=len(draft.roster.miners),
            ready_miners=len(ready_miners(seen, draft)),
            validators=len(draft.roster.validators),
            active_stake=sum(row.stake for row in permitted(draft.roster)),
        ),
        rejected_reports=draft.judged.rejected,
        conditions=tuple(
            dated(verdicts(seen, draft, now), subnet.status.conditions, generation=subnet.metadata.generation, now=now)
        ),
    )


def _epoch_status(draft: Draft) -> EpochStatus | None:
    epoch = draft.epoch
    if epoch.started_at is None or epoch.scoring_deadline is None or epoch.ends_at is None:
        return None
    return EpochStatus(
        number=epoch.number,
        phase=draft.phase.value,
        started_at=timestamp(epoch.started_at),
        scoring_deadline=timestamp(epoch.scoring_deadline),
        ends_at=timestamp(epoch.ends_at),
    )


def _clock(status: EpochStatus | None) -> Epoch:
    if status is None:
        return NEVER
    moments = (
        datetime.fromisoformat(moment) for moment in (status.started_at, status.scoring_deadline, status.ends_at)
    )
    return Epoch(status.number, *moments)


def _next_moment_s(seen: Snapshot, draft: Draft, now: datetime) -> float | None:
    """Seconds until time alone changes something: the deadline of an open epoch, or the end of a committed one."""
    epoch = draft.epoch
    is_open = epoch.number > epoch_number(draft.committed)
    moment = epoch.scoring_deadline if is_open else epoch.ends_at
    if moment is None or (seen.subnet.spec.suspend and not is_open):
        return None
    # Moments are whole seconds and so is `now`, which was cut: a wake-up a little late is on time.
    return max(0.0, (moment - now) / timedelta(seconds=1)) + 0.05


def _silent(seen: Snapshot, draft: Draft) -> list[ValidatorStatus]:
    """Validators whose report is still awaited."""
    resting = {name for name, policy in seen.policies.items() if policy.spec.suspend}
    return [
        row
        for row in permitted(draft.roster)
        if row.uid not in draft.judged.accepted
        and row.registered_epoch <= draft.epoch.number
        and NamespacedName(row.namespace, row.name) not in resting
    ]


def _delete(subnet: Subnet, chunk: StoredChunk) -> Delete:
    return Delete("v1", "ConfigMap", subnet.metadata.namespace, chunk.name, chunk.uid)
