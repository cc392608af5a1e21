"""Draws a dashboard as SVG: a preview for the documents, from the same JSON and the same queries that Grafana takes.

It is not Grafana: fonts, colours and spacing are its own. What it has in common is where panels are, what they are
called, and what they show.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

COLUMN, ROW, MARGIN, HEAD = 52, 30, 6, 46
COLUMNS = 24
PALETTE = ("#2f6fb5", "#e0833a", "#3f9b55", "#c4453f", "#8262ab", "#8a6149", "#d070b4", "#6f6f6f", "#a8a632", "#39a9bd")
COLOURS = {"green": "#2e8540", "orange": "#d67500", "red": "#c4302b"}
LEGENDS = 9

Series = list[dict[str, Any]]
Answer = Callable[[dict[str, Any]], Series]
"""The series that a target's query gives, as Prometheus' `query_range` has them."""


@dataclass(frozen=True)
class Box:
    """Where something is drawn, in pixels."""

    x: float
    y: float
    w: float
    h: float


@dataclass(frozen=True)
class Curve:
    """One line of a graph: moments in seconds and values."""

    name: str
    points: tuple[tuple[float, float], ...]


def picture(board: dict[str, Any], answer: Answer) -> str:
    """Return the dashboard as one SVG document."""
    panels = board["panels"]
    height = HEAD + ROW * max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + MARGIN
    width = COLUMN * COLUMNS + MARGIN
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, DejaVu Sans, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#f4f5f5"/>',
        text(2 * MARGIN, 30, board["title"], size=20, weight="bold"),
    ]
    for panel in panels:
        parts += drawn(panel, answer)
    return "\n".join([*parts, "</svg>", ""])


def drawn(panel: dict[str, Any], answer: Answer) -> Iterator[str]:
    """Yield the elements of one panel."""
    at = panel["gridPos"]
    box = Box(at["x"] * COLUMN + MARGIN, HEAD + at["y"] * ROW, at["w"] * COLUMN - MARGIN, at["h"] * ROW - MARGIN)
    if panel["type"] == "row":
        yield text(box.x + 4, box.y + 17, panel["title"], size=14, weight="bold")
        return
    yield f'<rect x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" fill="#fff" stroke="#dcdee0"/>'
    yield text(box.x + 8, box.y + 18, panel["title"], size=12, weight="bold")
    inner = Box(box.x + 8, box.y + 26, box.w - 16, box.h - 32)
    yield from {"stat": number, "table": table, "timeseries": graph}[panel["type"]](panel, inner, answer)


def number(panel: dict[str, Any], box: Box, answer: Answer) -> Iterator[str]:
    """Yield the last value, in the colour of its threshold."""
    curves = read(panel, answer)
    defaults = panel["fieldConfig"]["defaults"]
    if not curves:
        yield nothing(box)
        return
    value = curves[0].points[-1][1]
    colour = "green"
    for step in defaults["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            colour = step["color"]
    shown = in_unit(value, defaults["unit"])
    fill = COLOURS[colour]
    yield text(box.x + box.w / 2, box.y + box.h / 2 + 12, shown, size=30, weight="bold", fill=fill, anchor="middle")


def table(panel: dict[str, Any], box: Box, answer: Answer) -> Iterator[str]:
    """Yield the labels of each series as a row."""
    options = panel["transformations"][0]["options"]
    names = {
        label: options["renameByName"][label]
        for label in sorted(options["indexByName"], key=options["indexByName"].get)
    }
    rows = sorted([one["metric"].get(label, "") for label in names] for one in answer(panel["targets"][0]))
    step = box.w / len(names)
    fits = int(box.h // 17) - 1
    for line, row in enumerate([list(names.values()), *rows[:fits]]):
        for column, cell in enumerate(row):
            weight = "bold" if line == 0 else "normal"
            yield text(box.x + column * step, box.y + 12 + 17 * line, cell, size=11, weight=weight)


def graph(panel: dict[str, Any], box: Box, answer: Answer) -> Iterator[str]:
    """Yield axes, curves and legend."""
    curves = read(panel, answer)
    if not curves:
        yield nothing(box)
        return
    defaults = panel["fieldConfig"]["defaults"]
    if defaults["custom"].get("stacking", {}).get("mode") == "normal":
        curves = stacked(curves)
    legend_rows = math.ceil(min(len(curves), LEGENDS) / 3)
    plot = Box(box.x + 52, box.y + 4, box.w - 56, box.h - 8 - 14 * legend_rows)
    values = [value for curve in curves for _, value in curve.points]
    times = [moment for curve in curves for moment, _ in curve.points]
    low, high = min(0.0, *values), max(0.0, *values) or 1.0
    first, last = min(times), max(min(times) + 1, *times)

    def place(moment: float, value: float) -> str:
        x = plot.x + (moment - first) / (last - first) * plot.w
        return f"{x:.1f},{plot.y + (1 - (value - low) / (high - low)) * plot.h:.1f}"

    for part in range(4):
        value = low + (high - low) * part / 3
        y = plot.y + plot.h * (1 - part / 3)
        yield f'<line x1="{plot.x}" x2="{plot.x + plot.w}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e6e8ea"/>'
        yield text(plot.x - 4, y + 4, in_unit(value, defaults["unit"]), size=10, fill="#555", anchor="end")
    for index, curve in enumerate(curves):
        path = " ".join(place(*point) for point in curve.points)
        colour = PALETTE[index % len(PALETTE)]
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    yield from legend(curves, Box(box.x, plot.y + plot.h + 4, box.w, 14 * legend_rows))


def legend(curves: list[Curve], box: Box) -> Iterator[str]:
    """Yield the names of the first curves, three in a row."""
    for index, curve in enumerate(curves[:LEGENDS]):
        x, y = box.x + box.w / 3 * (index % 3), box.y + 12 + 14 * (index // 3)
        name = curve.name if index < LEGENDS - 1 or len(curves) == LEGENDS else f"and {len(curves) - LEGENDS + 1} more"
        yield f'<rect x="{x:.1f}" y="{y - 7:.1f}" width="9" height="4" fill="{PALETTE[index % len(PALETTE)]}"/>'
        yield text(x + 13, y, name[: int(box.w / 3 / 5.6) - 2], size=10, fill="#333")


def read(panel: dict[str, Any], answer: Answer) -> list[Curve]:
    """Return the curves of a panel's targets, without gaps and without those that have no number."""
    curves = []
    for target in panel["targets"]:
        for one in answer(target):
            points = tuple((float(moment), float(value)) for moment, value in one["values"])
            known = tuple(point for point in points if math.isfinite(point[1]))
            if known:
                curves.append(Curve(named(target.get("legendFormat", ""), one["metric"]), known))
    return sorted(curves, key=lambda curve: (-curve.points[-1][1], curve.name))


def stacked(curves: list[Curve]) -> list[Curve]:
    """Return the curves one above the other."""
    below: dict[float, float] = {}
    placed = []
    for curve in reversed(curves):
        raised = tuple((moment, value + below.get(moment, 0.0)) for moment, value in curve.points)
        below.update(raised)
        placed.append(Curve(curve.name, raised))
    return placed[::-1]


def named(legend_format: str, labels: dict[str, str]) -> str:
    """Return a legend with its labels filled in."""
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: labels.get(match[1], ""), legend_format)


def in_unit(value: float, unit: str) -> str:
    """Return a value as people read it, in one of the units that the dashboards use."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s" and abs(value) < 1:
        return f"{1000 * value:.3g} ms"
    if unit == "bytes":
        power = min(4, int(math.log2(abs(value)) // 10)) if abs(value) >= 1 else 0
        return f"{value / 2 ** (10 * power):.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
    suffix = {"s": " s", "reqps": " /s", "ops": " /s", "watt": " W"}.get(unit, "")
    return f"{value:.0f}{suffix}" if abs(value) >= 1000 else f"{value:.3g}{suffix}"


def text(
    x: float, y: float, content: str, *, size: int, weight: str = "normal", fill: str = "#1f2328", anchor: str = "start"
) -> str:
    """Return a text element."""
    style = f'font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(content)}</text>'


def nothing(box: Box) -> str:
    """Return the notice of a panel without data."""
    return text(box.x + box.w / 2, box.y + box.h / 2, "No data", size=14, fill=COLOURS["red"], anchor="middle")
