"""Durations: Go's syntax as far as the API takes it, and nothing that only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.api import InvalidDuration, format_duration, parse_duration_ms, parse_duration_s


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        pytest.param("0s", 0, id="nothing"),
        pytest.param("250ms", 250, id="milliseconds"),
        pytest.param("90s", 90_000, id="more seconds than a minute has"),
        pytest.param("1m30s", 90_000, id="several units"),
        pytest.param("1h30m", 5_400_000, id="hours and minutes"),
        pytest.param("1.5s", 1_500, id="a fraction"),
        pytest.param("0.5ms", 0, id="below a millisecond, rounded down"),
        pytest.param("0.5ms0.5ms", 1, id="fractions are added before rounding"),
        pytest.param("1s1h", 3_601_000, id="units in any order, as Go takes them"),
        pytest.param("999999h999999h", 7_199_992_800_000, id="the largest that fits"),
    ],
)
def test_parse(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds
    assert parse_duration_s(text) == milliseconds / 1_000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "90",
        "s",
        "1 s",
        "-5s",
        "+5s",
        "1d",
        "PT5S",
        "1.s",
        ".5s",
        "1.2345s",
        "5S",
        "1us",
        "1s\n",
        "١s",
        "1000000s",
        "1s" * 9,
    ],
)
def test_refuse(text: str) -> None:
    with pytest.raises(InvalidDuration, match="is not a duration; write numbers with units, such as 90s"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0s"), (90_000, "1m30s"), (3_600_000, "1h"), (1_001, "1s1ms"), (250, "250ms")]
)
def test_format(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


@pytest.mark.parametrize("milliseconds", [-1, 36_000_000_000])
def test_what_could_not_be_read_back_is_not_written(milliseconds: int) -> None:
    with pytest.raises(ValueError, match="cannot be written; give 0 to 35999999999"):
        format_duration(milliseconds)


@given(st.integers(0, 35_999_999_999))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    assert parse_duration_ms(format_duration(milliseconds)) == milliseconds
