"""Lines of a watch become events or our errors, whatever they hold; and why the library's decoder is not used."""

import json

import pytest
from kubernetes.aio.watch import Watch

from assay.kube import errors, stream
from assay.kube.stream import WatchEvent

POD = {"kind": "Pod", "metadata": {"name": "a", "resourceVersion": "7"}}


def line(kind: object, obj: object) -> bytes:
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


@pytest.mark.parametrize("kind", ["ADDED", "MODIFIED", "DELETED", "BOOKMARK"])
def test_an_event_is_decoded(kind: str) -> None:
    event = stream.decode("watch pods", line(kind, POD))
    assert event == WatchEvent(kind, POD)  # type: ignore[arg-type]
    assert event.resource_version == "7"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (410, errors.Gone),
        (500, errors.ServerError),
        (504, errors.ServerError),
        (403, errors.Forbidden),
        (None, errors.ServerError),
    ],
)
def test_an_error_event_is_raised_as_its_error(code: int | None, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        stream.decode("watch pods", line("ERROR", {"kind": "Status", "code": code}))


def test_a_line_cut_short_is_a_broken_connection() -> None:
    with pytest.raises(errors.Unreachable, match="cut"):
        stream.decode("watch pods", line("ADDED", POD)[:-10])


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\n",
        b"nonsense\n",
        b"[]\n",
        b"7\n",
        b"{}\n",
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        line("ADDED", None),
        line("ADDED", []),
        line("ADDED", {"metadata": {}}),
        line("ADDED", {"metadata": {"resourceVersion": 7}}),
        line("RENAMED", POD),
        line(["ADDED"], POD),
        line("ERROR", None),
    ],
    ids=lambda data: repr(data[:40]),
)
def test_nonsense_is_a_server_error_and_nothing_else(nonsense: bytes) -> None:
    with pytest.raises(errors.ServerError):
        stream.decode("watch pods", nonsense)


@pytest.mark.asyncio
async def test_the_library_hands_a_malformed_line_on_as_if_it_were_an_event() -> None:
    """Why `decode` exists: the day this fails, the library's own decoder may do."""
    watch = Watch()
    try:
        assert watch.unmarshal_event("nonsense", None) == "nonsense"
        with pytest.raises(KeyError):
            watch.unmarshal_event('{"type": "ERROR", "object": {"code": 500}}', None)
    finally:
        await watch.close()
