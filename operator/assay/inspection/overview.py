"""A subnet at a glance: clock, miners by incentive, validators, conditions.

Owns the order and the one-line reasons. Shows committed numbers as they are committed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from assay.api import Condition
from assay.inspection.account import why
from assay.inspection.market import Market


@dataclass(frozen=True)
class ClockFace:
    """The epoch that is open or was last."""

    epoch: int
    phase: str
    committed: int
    seconds_to_deadline: int | None
    seconds_to_next: int | None
    words: str


@dataclass(frozen=True)
class MinerLine:
    """One miner. u16 values mean n/65535."""

    uid: int
    miner: str
    weight: int
    incentive: int
    emission: int
    score: str | None
    ready: bool | None
    why: str


@dataclass(frozen=True)
class ValidatorLine:
    """One validator. u16 values mean n/65535."""

    uid: int
    validator: str
    stake: int
    permit: bool
    trust: int
    dividends: int
    emission: int
    last_report: int | None
    why: str


@dataclass(frozen=True)
class ConditionLine:
    """One condition of the subnet."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True)
class Overview:
    """What `assay status` shows."""

    subnet: str
    task: str
    model: str
    ready: bool
    clock: ClockFace
    miners: tuple[MinerLine, ...]
    validators: tuple[ValidatorLine, ...]
    conditions: tuple[ConditionLine, ...]
    rejected: tuple[str, ...]
    unreadable: tuple[str, ...]


def overview(market: Market, now: datetime) -> Overview:
    """The subnet as it stands at `now`, miners with the highest incentive first."""
    subnet, status = market.subnet, market.subnet.status
    model = subnet.spec.task.model
    conditions = tuple(ConditionLine(one.type, one.status, one.reason, one.message) for one in status.conditions)
    return Overview(
        subnet=str(subnet.metadata.namespaced_name),
        task=subnet.spec.task.kind,
        model=f"{model.name} {model.version}",
        ready=any(one.type == "Ready" and one.status == "True" for one in conditions),
        clock=_clock(market, now),
        miners=tuple(sorted(_miners(market), key=lambda line: (-line.incentive, line.uid))),
        validators=tuple(sorted(_validators(market), key=lambda line: (-line.dividends, line.uid))),
        conditions=conditions,
        rejected=tuple(
            f"epoch {one.epoch}: {one.validator}: {one.reason}: {one.message}" for one in status.rejected_reports
        ),
        unreadable=market.unreadable,
    )


def _clock(market: Market, now: datetime) -> ClockFace:
    status = market.subnet.status
    committed = status.committed.number if status.committed else 0
    epoch = status.epoch
    if epoch is None:
        return ClockFace(0, "Waiting", committed, None, None, "no epoch has opened yet")
    deadline = _seconds_until(epoch.scoring_deadline, now)
    ends = _seconds_until(epoch.ends_at, now)
    if epoch.number > committed:
        words = f"epoch {epoch.number} is {epoch.phase.lower()}: " + (
            f"reports are taken for {deadline} s more" if deadline > 0 else f"the commit is due since {-deadline} s"
        )
    elif market.subnet.spec.suspend:
        words = f"epoch {epoch.number} is committed; suspended: no other opens (spec.suspend)"
    else:
        words = f"epoch {epoch.number} is committed; " + (
            f"the next opens in {ends} s" if ends > 0 else f"the next is due since {-ends} s"
        )
    return ClockFace(epoch.number, epoch.phase, committed, deadline, ends, words)


def _seconds_until(moment: str, now: datetime) -> int:
    return round((datetime.fromisoformat(moment) - now) / timedelta(seconds=1))


def _miners(market: Market) -> list[MinerLine]:
    lines = []
    for row in market.subnet.status.miners:
        deployment = market.deployments.get(row.object_uid)
        lines.append(
            MinerLine(
                uid=row.uid,
                miner=f"{row.namespace}/{row.name}",
                weight=row.weight,
                incentive=row.incentive,
                emission=row.emission,
                score=row.score,
                ready=_ready(deployment.status.conditions) if deployment else None,
                why=why(market, row),
            )
        )
    return lines


def _validators(market: Market) -> list[ValidatorLine]:
    lines = []
    for row in market.subnet.status.validators:
        policy = market.policy(row)
        verdict = next((one for one in policy.status.conditions if one.type == "Ready"), None) if policy else None
        lines.append(
            ValidatorLine(
                uid=row.uid,
                validator=f"{row.namespace}/{row.name}",
                stake=row.stake,
                permit=row.permit,
                trust=row.trust,
                dividends=row.dividends,
                emission=row.emission,
                last_report=row.last_report_epoch,
                why=_in_words(verdict),
            )
        )
    return lines


def _in_words(verdict: Condition | None) -> str:
    if verdict is None:
        return "its ValidatorPolicy says nothing"
    return f"{verdict.reason}: {verdict.message}" if verdict.message else verdict.reason


def _ready(conditions: tuple[Condition, ...]) -> bool:
    return any(one.type == "Ready" and one.status == "True" for one in conditions)
