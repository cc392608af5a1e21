"""The epoch clock: what the next moment of a subnet's epoch is, as a pure function of (now, spec, last).

Invariant: numbers only grow, by one. An operator that was away finds the epoch it left; it never skips a number to
catch up with the wall clock, because a number that nobody scored would be an epoch lost.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Phase(StrEnum):
    """Where an epoch stands."""

    WAITING = "Waiting"  # committed, or nothing to score yet: waits for the next epoch to open
    SCORING = "Scoring"  # Jobs measure; reports come in
    CLOSING = "Closing"  # no more reports; the commit is due


@dataclass(frozen=True)
class Epoch:
    """One epoch on the clock; all times are time zone aware. `number` 0 means that none has opened yet."""

    number: int
    started_at: datetime | None = None
    scoring_deadline: datetime | None = None
    ends_at: datetime | None = None


NEVER = Epoch(number=0)


def is_due(now: datetime, last: Epoch, *, committed: int) -> bool:
    """Whether the epoch after `last` may open: the last one is committed and its time is over."""
    return committed >= last.number and (last.ends_at is None or now >= last.ends_at)


def opened(now: datetime, last: Epoch, *, length_s: float, scoring_window_s: float) -> Epoch:
    """The epoch that opens now.

    It begins where the last one ended, so that epochs do not drift by the operator's reaction time; if the last end
    lies further back than half a length, it begins now, and the time in between is no epoch's.

    Args:
        now: the moment of opening.
        last: the epoch before.
        length_s: length of the epoch, in seconds.
        scoring_window_s: seconds from the start until Jobs must have reported; less than `length_s`.
    """
    on_time = last.ends_at is not None and (now - last.ends_at).total_seconds() < length_s / 2
    start = last.ends_at if on_time and last.ends_at is not None else now
    return Epoch(
        number=last.number + 1,
        started_at=start,
        scoring_deadline=start + timedelta(seconds=scoring_window_s),
        ends_at=start + timedelta(seconds=length_s),
    )


def is_closed(now: datetime, epoch: Epoch, *, reports_missing: int) -> bool:
    """Whether the epoch takes no more reports: all are in, or the deadline has passed."""
    return reports_missing == 0 or (epoch.scoring_deadline is not None and now >= epoch.scoring_deadline)
