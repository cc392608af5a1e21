"""Lines of a watch, decoded.

Owns the meaning of one line of a watch stream. Pure. The `kubernetes` package has a decoder too, but hands a
malformed line on as a string and fails with a KeyError on an ERROR without a reason (tests/unit/kube/test_stream.py
shows both); here every line is an event or one of our errors.
"""

import json
from dataclasses import dataclass
from typing import Literal, cast

from assay.kube import errors
from assay.kube.resources import Object

EventType = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
_TYPES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change, or a bookmark: then only `object.metadata.resourceVersion` counts."""

    type: EventType
    object: Object

    @property
    def resource_version(self) -> str:
        """How far the watch has come with this event."""
        return str(self.object["metadata"]["resourceVersion"])


def decode(subject: str, line: bytes) -> WatchEvent:
    """The event in `line`, which ends in a newline unless the stream was cut.

    Raises `Gone` and the other errors of an ERROR event, `Unreachable` for a cut line, `ServerError` for nonsense.
    """
    if not line.endswith(b"\n"):
        raise errors.Unreachable(subject, f"the stream was cut in the middle of an event, after {len(line)} bytes")
    try:
        event = json.loads(line)
        kind, obj = event["type"], event["object"]
        if kind == "ERROR":
            raise errors.from_status(subject, obj)
        known = kind in _TYPES and isinstance(obj["metadata"]["resourceVersion"], str)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.ServerError(subject, f"not a watch event: {line[:128]!r}") from error
    if not known:
        raise errors.ServerError(subject, f"not a watch event: {line[:128]!r}")
    return WatchEvent(cast(EventType, kind), obj)
