"""Log lines are one JSON object each, whatever they carry."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from assay.kube.resources import ObjectRef
from assay.telemetry import logging as telemetry_logging
from assay.telemetry.logging import about, configure

REF = ObjectRef("assay.dev/v1alpha1", "Subnet", "demo", "embeddings", "u1")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in telemetry_logging._QUIET}
    stream = io.StringIO()
    configure("INFO", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_names_its_object_and_its_facts(stream: io.StringIO) -> None:
    logging.getLogger("assay.x").info("epoch %d committed", 7, extra=about(REF, epoch=7))
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "logger": "assay.x",
        "message": "epoch 7 committed",
        "object": {"kind": "Subnet", "namespace": "demo", "name": "embeddings", "uid": "u1"},
        "epoch": 7,
    }


def test_a_stack_trace_is_a_field_of_the_one_line(stream: io.StringIO) -> None:
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError:
        logging.getLogger("assay.x").exception("failed")
    (line,) = lines(stream)
    assert line["message"] == "failed"
    assert "ZeroDivisionError: oops" in line["trace"]


@pytest.mark.parametrize(
    "text",
    [
        'two\nlines {"level": "error"}',
        "\r\x1b[31mred\x1b[0m",
        "\u202eright to left",
        "\x00",
        "}{",
        "\u2028\u2029",
        "\ud800",
    ],
    ids=ascii,
)
def test_hostile_text_stays_one_line(stream: io.StringIO, text: str) -> None:
    logging.getLogger("assay.x").warning("refused: %s", text)
    assert len(stream.getvalue().split("\n")) == 2
    (line,) = [json.loads(stream.getvalue())]
    assert line["message"] == f"refused: {text}"
    assert all(32 <= ord(char) < 127 for char in stream.getvalue().rstrip("\n"))


def test_a_message_is_cut_at_a_bounded_length(stream: io.StringIO) -> None:
    logging.getLogger("assay.x").warning("x" * 1_000_000)
    (line,) = lines(stream)
    assert len(line["message"]) < 8300
    assert line["message"].endswith("(1000000 characters)")


def test_libraries_speak_only_of_what_matters(stream: io.StringIO) -> None:
    logging.getLogger("kopf.objects").info("handler succeeded")
    logging.getLogger("kopf._cogs.clients.watching").error("request attempt failed")
    logging.getLogger("kubernetes.aio.leaderelection.leaderelection").error("failed to update lock")
    logging.getLogger("aiohttp.access").info("GET /healthz")
    assert lines(stream) == []
    logging.getLogger("kopf.objects").warning("something is wrong")
    assert [line["logger"] for line in lines(stream)] == ["kopf.objects"]


def test_text_style_is_for_terminals() -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        configure("DEBUG", style="text", stream=stream)
        logging.getLogger("assay.x").debug("hello")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    assert stream.getvalue().endswith("DEBUG   hello\n")


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="log level 'loud' is unknown; use DEBUG"):
        configure("loud")
