"""Conditions, the way every kind reports them.

Owns the one rule that keeps a converged object silent: `lastTransitionTime` moves only when the status flips, so an
unchanged verdict gives an unchanged list and therefore no write.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from assay.api import Condition

MESSAGE_LIMIT = 1024

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Verdict:
    """One condition before it is dated: what holds, why (a reason of the closed set) and in which words."""

    type: str
    status: Truth
    reason: str
    message: str = ""

    @property
    def holds(self) -> bool:
        """Whether the status is True."""
        return self.status == "True"


def yes(type_: str, reason: str, message: str = "") -> Verdict:
    """A condition that holds."""
    return Verdict(type_, "True", reason, message)


def no(type_: str, reason: str, message: str = "") -> Verdict:
    """A condition that does not hold."""
    return Verdict(type_, "False", reason, message)


def unknown(type_: str, reason: str, message: str = "") -> Verdict:
    """A condition nobody can tell now."""
    return Verdict(type_, "Unknown", reason, message)


def conjunction(type_: str, parts: Iterable[Verdict], reason: str, message: str = "") -> Verdict:
    """True with `reason` if every part holds, else the first part that does not, under this type."""
    for part in parts:
        if not part.holds:
            return Verdict(type_, part.status, part.reason, part.message)
    return yes(type_, reason, message)


def dated(
    verdicts: Iterable[Verdict], before: Sequence[Condition], *, generation: int, now: datetime
) -> list[Condition]:
    """The verdicts as conditions, in the order given.

    Args:
        verdicts: one for each condition type.
        before: the conditions as they were read.
        generation: `metadata.generation` that was judged.
        now: time zone aware; cut to whole seconds.
    """
    known = {condition.type: condition for condition in before}
    return [_dated(verdict, known.get(verdict.type), generation, now) for verdict in verdicts]


def refused(
    before: Sequence[Condition], reason: str, message: str, *, generation: int, now: datetime
) -> list[Condition]:
    """Conditions of an object that cannot be carried out: not Accepted, hence not Ready; the others as they were."""
    kept = [condition for condition in before if condition.type not in {"Ready", "Accepted"}]
    verdicts = (no("Ready", reason, message), no("Accepted", reason, message))
    return [*dated(verdicts, before, generation=generation, now=now), *kept]


def _dated(verdict: Verdict, before: Condition | None, generation: int, now: datetime) -> Condition:
    flipped = before is None or before.status != verdict.status
    return Condition(
        type=verdict.type,
        status=verdict.status,
        reason=verdict.reason,
        message=_fitting(verdict.message),
        observed_generation=generation,
        last_transition_time=timestamp(now) if flipped or before is None else before.last_transition_time,
    )


def _fitting(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as `metav1.Time` has it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
