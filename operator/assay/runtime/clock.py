"""The clock as a parameter.

Owns the one place where the operator reads wall-clock time. Everything that decides by time takes a `Clock`, so
that a test can turn it. It never measures durations: those belong to the event loop's monotonic time.
"""

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day."""

    def now(self) -> datetime:
        """The current time, timezone-aware, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The current time in UTC."""
        return datetime.now(UTC)
