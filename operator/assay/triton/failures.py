"""The one error of this package and its closed set of reasons.

Messages may quote what a server said: always cut short and escaped, because a server is hostile until proven honest.
"""

from enum import StrEnum

QUOTED_CHARACTERS = 200


class Reason(StrEnum):
    """Why there is no usable answer."""

    TIMEOUT = "Timeout"
    UNREACHABLE = "Unreachable"
    WRONG_SHAPE = "WrongShape"
    WRONG_TYPE = "WrongType"
    TOO_LARGE = "TooLarge"
    MODEL_UNAVAILABLE = "ModelUnavailable"
    PROTOCOL_ERROR = "ProtocolError"


class InferenceFailure(Exception):
    """A request without a usable answer."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason


def quote(text: object) -> str:
    """A server's words, safe for one line of a log: at most 200 characters, control characters escaped."""
    words = str(text)[:QUOTED_CHARACTERS]
    return words.encode("unicode_escape").decode("ascii")
