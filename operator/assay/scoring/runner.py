"""From an assignment to a result, in time.

Owns the order of things and the deadlines: prepare the exam, hold it for all miners at once, stop in time to file the
report. Invariant: `carry_out` returns a result before the assignment's deadline whatever reference, miners or the
scorer's own defects do.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from assay.api import Assignment
from assay.scoring.challenges import identity
from assay.scoring.draws import shuffled
from assay.scoring.examination import Examiner, Record
from assay.scoring.lanes import Lanes
from assay.scoring.reference import NoReference, prepare
from assay.verification import MinerScore, Rule, score

log = logging.getLogger(__name__)

MARGIN_SHARE, MARGIN_S_MIN, MARGIN_S_MAX = 0.1, 1.0, 10.0
REFERENCE_SHARE = 0.5
CLOSING_S = 1.0
ASSIGNMENT_INVALID, SCORER_FAILED, TOO_LATE = "AssignmentInvalid", "ScorerFailed", "DeadlinePassed"


@dataclass(frozen=True)
class Failed:
    """There are no scores: `reason` in one word, `message` with the remedy."""

    reason: str
    message: str


@dataclass(frozen=True)
class Scored:
    """A score for every miner of the assignment, by UID."""

    scores: Mapping[int, MinerScore]


Result = Scored | Failed


def deadline_of(assignment: Assignment) -> datetime:
    """When the report must be filed, as an instant with time zone; raises ValueError if it cannot be read."""
    deadline = datetime.fromisoformat(assignment.deadline)
    return deadline if deadline.tzinfo else deadline.replace(tzinfo=UTC)


def rule_of(assignment: Assignment) -> Rule:
    """The assignment's score rule; raises ValueError if it is none."""
    scoring = assignment.scoring
    return Rule(
        tolerance=Fraction(scoring.tolerance),
        latency_target_us=scoring.latency_target_ms * 1000,
        latency_weight_percent=scoring.latency_weight_percent,
        exponent=scoring.exponent,
    )


async def carry_out(assignment: Assignment, remaining_s: float) -> Result:
    """Score every miner within `remaining_s`, less a margin for filing the report."""
    if remaining_s <= 0:
        return Failed(TOO_LATE, f"the deadline passed {-remaining_s:.1f} s before scoring began; was the Job delayed?")
    begun_s = asyncio.get_running_loop().time()
    working_s = remaining_s - min(max(MARGIN_SHARE * remaining_s, MARGIN_S_MIN), MARGIN_S_MAX)
    try:
        rule = rule_of(assignment)
    except ValueError as error:
        return Failed(ASSIGNMENT_INVALID, f"scoring: {error}")
    try:
        exam = await prepare(assignment, until_s=begun_s + REFERENCE_SHARE * working_s)
        log.info("exam is ready", extra={"challenges": len(exam.challenges), "miners": len(assignment.miners)})
        records = {miner.uid: Record(miner) for miner in assignment.miners}
        examiner = Examiner(assignment, exam, rule, Lanes(assignment.challenge.concurrency_total))
        await _examine_all(examiner, records, until_s=begun_s + working_s)
    except NoReference as error:
        return Failed(error.cause, str(error))
    except Exception as error:
        # A defect of the scorer: the epoch must not wait for a report that never comes.
        log.exception("scoring broke off")
        return Failed(SCORER_FAILED, f"{type(error).__name__}: {error}")
    return Scored({uid: _row(record, rule) for uid, record in records.items()})


async def _examine_all(examiner: Examiner, records: Mapping[int, Record], until_s: float) -> None:
    """Hold all exams at once; those not over by `until_s` are cut off and count as far as they came."""
    uids = [miner.uid for miner in examiner.assignment.miners]
    # Drawn anew every epoch: whoever registered first is not asked first for ever.
    order = shuffled(len(uids), *identity(examiner.assignment), "miners")
    tasks = [asyncio.create_task(examiner.examine(records[uids[index]])) for index in order]
    if not tasks:
        return
    _, unfinished = await asyncio.wait(tasks, timeout=until_s - asyncio.get_running_loop().time())
    if unfinished:
        log.warning("exams were cut off", extra={"miners": len(unfinished)})
        for task in unfinished:
            task.cancel()
        await asyncio.wait(unfinished, timeout=CLOSING_S)


def _row(record: Record, rule: Rule) -> MinerScore:
    row = score(record.samples, rule)
    log.info(
        "miner is scored",
        extra={
            "miner": record.miner.uid,
            "object": {"namespace": record.miner.namespace, "name": record.miner.name},
            "weight": row.weight_u16,
            "samples": row.samples,
            "failures": row.failures,
            "quality_ppm": row.quality_ppm,
            "latency_p50_us": row.latency_p50_us,
            "reasons": dict(sorted(record.reasons.items())),
        },
    )
    return row
