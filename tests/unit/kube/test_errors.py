"""Every answer becomes one of our errors, and keeps what a user needs to read."""

import json

import pytest

from assay.kube import errors

SUBJECT = "apply ConfigMap demo/a"


def status(code: int, reason: str, message: str = "no", **details: object) -> bytes:
    return json.dumps(
        {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    ).encode()


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.Invalid),
        (401, "Unauthorized", errors.Forbidden),
        (403, "Forbidden", errors.Forbidden),
        (404, "NotFound", errors.NotFound),
        (405, "MethodNotAllowed", errors.Invalid),
        (409, "Conflict", errors.Conflict),
        (409, "AlreadyExists", errors.AlreadyExists),
        (410, "Expired", errors.Gone),
        (410, "Gone", errors.Gone),
        (413, "RequestEntityTooLarge", errors.Invalid),
        (415, "UnsupportedMediaType", errors.Invalid),
        (422, "Invalid", errors.Invalid),
        (429, "TooManyRequests", errors.TooManyRequests),
        (500, "InternalError", errors.ServerError),
        (503, "ServiceUnavailable", errors.ServerError),
        (504, "Timeout", errors.ServerError),
        (418, "", errors.ServerError),
    ],
)
def test_a_status_becomes_its_error(code: int, reason: str, expected: type[errors.KubeError]) -> None:
    error = errors.from_answer(SUBJECT, code, status(code, reason))
    assert type(error) is expected
    assert (error.status, error.reason) == (code, reason)
    assert str(error).startswith(f"{SUBJECT}: {code}")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>bad gateway</html>",
        b"[1,2]",
        b'"text"',
        b"null",
        b"{",
        b'{"details": 7, "code": "x"}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:20]),
)
def test_a_body_that_is_no_status_still_gives_an_error_by_its_code(body: bytes) -> None:
    error = errors.from_answer(SUBJECT, 502, body)
    assert type(error) is errors.ServerError
    assert error.status == 502


def test_causes_are_kept_field_by_field() -> None:
    causes = [
        {"field": "spec.replicas", "message": "must be at least 0", "reason": "FieldValueInvalid"},
        "nonsense",
        {},
    ]
    error = errors.from_answer(SUBJECT, 422, status(422, "Invalid", causes=causes))
    assert isinstance(error, errors.Invalid)
    assert error.causes == (
        errors.Cause("spec.replicas", "must be at least 0", "FieldValueInvalid"),
        errors.Cause("", "", ""),
    )


@pytest.mark.parametrize(
    ("header", "details", "expected_s"),
    [("7", {}, 7), (None, {"retryAfterSeconds": 3}, 3), ("7", {"retryAfterSeconds": 3}, 7), (None, {}, None)]
    + [(bad, {}, None) for bad in ("Tue, 24 Nov 2026 20:15:00 GMT", "-1", "0", "nan", "inf", "1e9")],
)
@pytest.mark.parametrize("code", [429, 503])
def test_how_long_to_wait_comes_from_the_header_or_the_status(
    code: int, header: str | None, details: dict[str, object], expected_s: float | None
) -> None:
    headers = {"Retry-After": header} if header else {}
    error = errors.from_answer(SUBJECT, code, status(code, "x", **details), headers)
    assert getattr(error, "retry_after_s", "absent") == expected_s


def test_transport_errors_are_transient_and_mistakes_are_not() -> None:
    assert issubclass(errors.Unreachable, errors.TRANSIENT)
    assert not issubclass(errors.Invalid, errors.TRANSIENT)
    assert not issubclass(errors.NotFound, errors.TRANSIENT)
