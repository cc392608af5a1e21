"""How the operator logs: one JSON object a line, on one stream.

Owns the format, and the volume of the libraries. It must never be needed for a decision. Invariant: whatever text a
user puts into an object, a log record stays one line and of bounded length; JSON escapes line breaks and control
characters.
"""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TextIO

from pythonjsonlogger.json import JsonFormatter

_LONGEST = 8192  # characters of a message, and of a stack trace

# What the libraries say at these levels is worth a line; the rest of it we say ourselves, with the object it is about.
_QUIET = {
    "aiohttp.access": logging.WARNING,
    "asyncio": logging.WARNING,
    "kopf": logging.WARNING,
    "kopf._cogs.clients": logging.CRITICAL,  # an error for every request it retries while the API server is away
    "kopf._core.reactor.running": logging.ERROR,  # it warns at every start that it is not in the main thread
    "kubernetes": logging.WARNING,
    "kubernetes.aio.leaderelection": logging.CRITICAL,  # a stack trace a second while the API server is away
}


class Reference(Protocol):
    """Anything that names an object, such as `assay.kube.resources.ObjectRef`."""

    @property
    def kind(self) -> str:
        """Its kind."""
        ...

    @property
    def namespace(self) -> str | None:
        """Its namespace; None if it is cluster-scoped."""
        ...

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def uid(self) -> str | None:
        """Its UID, if known."""
        ...


def about(ref: Reference, **more: object) -> dict[str, object]:
    """What to pass as `extra=` so that a record names the object it is about: `log.info("…", extra=about(ref))`."""
    named = {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "uid": ref.uid}
    return {"object": {field: value for field, value in named.items() if value}, **more}


def configure(level: str = "INFO", style: Literal["json", "text"] = "json", stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (standard error by default), replacing what was configured before.

    Raises `ValueError` for a level that is none of DEBUG, INFO, WARNING, ERROR, CRITICAL.
    """
    threshold = logging.getLevelNamesMapping().get(level.upper())
    if threshold is None:
        raise ValueError(f"log level {level!r} is unknown; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Lines() if style == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, threshold))


class _Lines(JsonFormatter):
    """Time, level, logger and message first, under short names; then whatever the record carries."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Fill the fields of one line."""
        super().add_fields(log_data, record, message_dict)
        fields = dict(log_data)
        log_data.clear()
        log_data["time"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["message"] = _cut(fields.pop("message", "") or record.getMessage())
        if trace := fields.pop("exc_info", None):
            log_data["trace"] = _cut(trace)
        log_data.update(fields)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"
