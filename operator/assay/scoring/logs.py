"""The scorer's log: one JSON object a line, on standard error.

Owns the format. Whatever a miner managed to get into a message stays within its own line and its own string.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """Time, level, logger, message, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of ASCII JSON."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{key: value for key, value in record.__dict__.items() if key not in _STANDARD},
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_to_stderr() -> None:
    """Send the log of this process to standard error; libraries speak from warnings upwards.

    To be called before gRPC is imported: its C core writes lines of its own to standard error otherwise.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("assay").setLevel(logging.INFO)
    # It prints a stack trace for every answer that is no message; the failure's reason says as much.
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
