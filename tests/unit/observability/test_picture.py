"""The preview of a dashboard: every panel is drawn, and says so where there is no data."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from dashboards.picture import Curve, in_unit, named, picture, stacked
from helm import CHART, ROOT

BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))}
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<&\"'>]]>"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]  # noqa: S314 - our own


def some(_: dict[str, Any]) -> list[dict[str, Any]]:
    labels = dict.fromkeys(("miner", "validator", "namespace", "name", "controller", "instance"), HOSTILE)
    values = [[0, "NaN"], [5, "0.25"], [10, "1e9"], [15, "+Inf"]]
    return [{"metric": labels, "values": values}, {"metric": {}, "values": [[0, "NaN"]]}]


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_every_panel_is_drawn_under_its_title(board: dict[str, Any]) -> None:
    shown = texts(picture(board, some))
    assert {panel["title"] for panel in board["panels"]} <= set(shown)
    assert "No data" not in shown


def test_a_panel_without_data_says_so() -> None:
    board = BOARDS["operator"]
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert texts(picture(board, lambda _: [])).count("No data") == len(panels)


@pytest.mark.parametrize("board", BOARDS)
def test_the_pictures_in_the_docs_are_of_these_dashboards(board: str) -> None:
    shown = texts((ROOT / "docs" / "images" / f"dashboard-{board}.svg").read_text())
    assert {panel["title"] for panel in BOARDS[board]["panels"]} <= set(shown), "run `make dashboard-pictures`"
    assert "No data" not in shown


UNITS = {
    "a share": (0.125, "percentunit", "12.5 %"),
    "a short time": (0.0021, "s", "2.1 ms"),
    "a time": (90.0, "s", "90 s"),
    "memory": (3 * 2**20, "bytes", "3 MiB"),
    "no memory": (0.0, "bytes", "0 B"),
    "a number": (12345.0, "none", "12345"),
    "a rate": (0.5, "reqps", "0.5 /s"),
}


@pytest.mark.parametrize(("value", "unit", "shown"), UNITS.values(), ids=UNITS.keys())
def test_values_are_read_in_their_unit(value: float, unit: str, shown: str) -> None:
    assert in_unit(value, unit) == shown


def test_a_legend_takes_the_labels_it_names() -> None:
    assert named("{{miner}} ({{uid}}) {{gone}}", {"miner": "a", "uid": "0"}) == "a (0) "


def test_parts_of_a_whole_stand_one_upon_the_other() -> None:
    placed = stacked([Curve("big", ((0, 3.0), (5, 3.0))), Curve("small", ((5, 1.0),))])
    assert [curve.points for curve in placed] == [((0, 3.0), (5, 4.0)), ((5, 1.0),)]
