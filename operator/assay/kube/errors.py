"""One tree of errors for everything the API server, or the way to it, can answer.

Owns the mapping from HTTP answers and transport failures. Nothing raw (an aiohttp or a kubernetes exception) ever
leaves `assay.kube`. Invariant: every error names the call and its subject, so that a log line or a condition can
show it as it is.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why the server refused an object: the field, its complaint, and the complaint's kind."""

    field: str
    message: str
    reason: str


class KubeError(Exception):
    """A call that did not succeed. `status` is the HTTP code, 0 where no answer came."""

    def __init__(self, subject: str, message: str, *, status: int = 0, reason: str = "") -> None:
        self.subject = subject
        self.message = message
        self.status = status
        self.reason = reason
        code = f"{status} {reason}".strip() if status else type(self).__name__
        super().__init__(f"{subject}: {code}: {message}")


class NotFound(KubeError):
    """404: the object, its namespace or its kind does not exist."""


class Conflict(KubeError):
    """409: the object changed since it was read, another manager owns a field, or a UID precondition failed."""


class AlreadyExists(KubeError):
    """409 on create: there is such an object already."""


class Invalid(KubeError):
    """400, 413, 415, 422: the server will never accept this request as it is. `causes` tells why, field by field."""

    def __init__(
        self, subject: str, message: str, *, status: int = 0, reason: str = "", causes: tuple[Cause, ...] = ()
    ) -> None:
        super().__init__(subject, message, status=status, reason=reason)
        self.causes = causes


class Gone(KubeError):
    """410: the resourceVersion or the continue token is too old. List again."""


class Forbidden(KubeError):
    """401, 403: not known, or not allowed; also a namespace that is being deleted, or an exhausted quota."""


class _Retryable(KubeError):
    """An answer that may carry how long to wait, in seconds."""

    def __init__(
        self, subject: str, message: str, *, status: int = 0, reason: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(subject, message, status=status, reason=reason)
        self.retry_after_s = retry_after_s


class TooManyRequests(_Retryable):
    """429: the server asks for patience."""


class ServerError(_Retryable):
    """5xx, or an answer that makes no sense: the request may or may not have been carried out."""


class Unreachable(KubeError):
    """No answer: refused, reset, timed out or silent. The request may or may not have been carried out."""


TRANSIENT: tuple[type[KubeError], ...] = (Conflict, Gone, Forbidden, TooManyRequests, ServerError, Unreachable)
"""What passes by itself or by reading again: retry with backoff, no stack trace."""

_INVALID = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}


def from_answer(subject: str, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> KubeError:
    """The error for an HTTP answer other than 2xx.

    Bodies that are no `Status` object (a proxy's page) are taken as text.
    """
    return from_status(subject, _decode(status, body), retry_after=(headers or {}).get("Retry-After"))


def from_status(subject: str, answer: Mapping[str, Any], retry_after: str | None = None) -> KubeError:
    """The error for a `Status` object, as it comes in an answer's body or in a watch's ERROR event."""
    details = answer.get("details")
    details = details if isinstance(details, Mapping) else {}
    status = answer.get("code")
    status = status if isinstance(status, int) else 0
    reason = str(answer.get("reason") or "")
    message = str(answer.get("message") or reason or "the server gave no reason")
    if status == HTTPStatus.NOT_FOUND:
        return NotFound(subject, message, status=status, reason=reason)
    if status == HTTPStatus.CONFLICT:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
        return kind(subject, message, status=status, reason=reason)
    if status == HTTPStatus.GONE or reason in {"Expired", "Gone"}:
        return Gone(subject, message, status=status, reason=reason)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return Forbidden(subject, message, status=status, reason=reason)
    if status in _INVALID:
        return Invalid(subject, message, status=status, reason=reason, causes=_causes(details))
    wait_s = _seconds(retry_after) or _seconds(details.get("retryAfterSeconds"))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return TooManyRequests(subject, message, status=status, reason=reason, retry_after_s=wait_s)
    return ServerError(subject, message, status=status, reason=reason, retry_after_s=wait_s)


def _decode(status: int, body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        return {**answer, "code": status}
    return {"code": status, "message": body[:256].decode("utf-8", "replace").strip()}


def _causes(details: Mapping[str, Any]) -> tuple[Cause, ...]:
    causes = details.get("causes")
    if not isinstance(causes, list):
        return ()
    return tuple(
        Cause(str(cause.get("field") or ""), str(cause.get("message") or ""), str(cause.get("reason") or ""))
        for cause in causes
        if isinstance(cause, Mapping)
    )


def _seconds(value: object) -> float | None:
    """Seconds from a Retry-After header (dates are not used by the API server) or from a Status.

    None if there are none.
    """
    try:
        seconds = float(value)  # type: ignore[arg-type]  # whatever it is, it either converts or it does not count
    except (TypeError, ValueError):
        return None
    return seconds if 0 < seconds < 3600 else None
