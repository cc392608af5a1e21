"""Durations as Kubernetes users write them: Go's syntax (`90s`, `1m30s`), counted here in whole milliseconds.

Owns the one parser of that syntax. It must never guess: `90`, `1 day` and `-5s` are refused, so that the API server's
CEL rule (`schema.GoDuration`) and this parser accept exactly the same strings.
"""

import re
from typing import Final

MAX_DURATION_LENGTH: Final = 16
"""Longest duration string accepted, in characters; with the digits bound below, no sum can leave Go's 64-bit
nanoseconds."""

DURATION_PATTERN: Final = r"([0-9]{1,6}(\.[0-9]{1,3})?(ms|s|m|h))+"
"""One or more numbers with a unit each; a subset of Go's syntax without signs and without units below a millisecond."""

MAX_FORMATTED_MS: Final = 10_000 * 3_600_000

_UNIT_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000}
_WHOLE = re.compile(DURATION_PATTERN, re.ASCII)
_PART = re.compile(r"(?P<whole>[0-9]{1,6})(?:\.(?P<fraction>[0-9]{1,3}))?(?P<unit>ms|s|m|h)", re.ASCII)


class InvalidDuration(ValueError):
    """The text is no duration; the message shows the text and how to write one."""


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of a Go duration such as `90s`, `1h30m` or `250ms`, fractions of one rounded down.

    Raises InvalidDuration for anything else, the empty string and signs included.
    """
    if len(text) > MAX_DURATION_LENGTH or not _WHOLE.fullmatch(text):
        raise InvalidDuration(f"{text!r} is not a duration; write numbers with units, such as 90s, 5m, 1h30m or 250ms")
    micro = 0
    for part in _PART.finditer(text):
        milli_units = int(part["whole"]) * 1_000 + int((part["fraction"] or "").ljust(3, "0"))
        micro += milli_units * _UNIT_MS[part["unit"]]
    return micro // 1_000


def parse_duration_s(text: str) -> float:
    """Return the seconds of a Go duration: `1m30s` is 90.0. Raises InvalidDuration as `parse_duration_ms` does."""
    return parse_duration_ms(text) / 1_000


def format_duration(milliseconds: int) -> str:
    """Write whole milliseconds as whole units: 90000 is `1m30s`.

    Raises ValueError below zero and from 10,000 hours on, where the text could grow too long to be read back.
    """
    if not 0 <= milliseconds < MAX_FORMATTED_MS:
        raise ValueError(f"{milliseconds} ms cannot be written; give 0 to {MAX_FORMATTED_MS - 1}")
    parts = []
    for unit in ("h", "m", "s", "ms"):
        count, milliseconds = divmod(milliseconds, _UNIT_MS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
