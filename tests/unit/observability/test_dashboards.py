"""The dashboards are what the generator writes, hold to the rules of Grafana's linter, and ask only for what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql
import pytest
import yaml

import generate_dashboards as dashboards
import generate_metrics_reference as metrics
from grafana import expand, queries
from helm import CHART

BOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))
}
PANELS = [
    pytest.param(panel, id=f"{name}: {panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
QUERIES = [
    pytest.param(query.expr, id=f"{name}: {query.title} {query.ref}")
    for name, board in BOARDS.items()
    for query in queries(board)
]
UNITS = {"none", "s", "percentunit", "reqps", "ops", "bytes", "watt", "string"}
FOR_LINT = {
    "datasource": "x", "job": "j", "instance": "i", "namespace": "n", "subnet": "s", "model": "m",
}  # fmt: skip
KNOWN = metrics.names() | dict.fromkeys(metrics.NV_METRICS, ("namespace", "model", "version", "reason", "gpu_uuid"))
"""Labels by the name of the series, besides those of the target."""
TARGET = {"job", "instance", "namespace", "pod"}


def walk(node: Any) -> Iterator[Any]:
    """Every node of a syntax tree."""
    yield node
    for part in ("lhs", "rhs", "expr", "param", "vector_selector", "vs"):
        child = getattr(node, part, None)
        if child is not None and not isinstance(child, (str, int, float)):
            yield from walk(child)
    for child in getattr(node, "args", None) or ():
        yield from walk(child)


def selectors(expr: str) -> list[tuple[str, dict[str, str]]]:
    """Name and matched labels of every selector."""
    found = []
    for node in walk(promql.parse(expr)):
        if isinstance(node, promql.VectorSelector):
            labels = {matcher.name: matcher.value for matcher in node.matchers.matchers}
            found.append((node.name or labels.pop("__name__"), labels))
    return found


def test_the_files_are_what_the_generator_writes() -> None:
    committed = {path.name: path.read_text() for path in (CHART / "dashboards").glob("*")}
    assert committed == dashboards.files(), "run `python hack/generate_dashboards.py`"


def test_there_are_three() -> None:
    assert {board["uid"] for board in BOARDS.values()} == {"assay-subnet", "assay-serving", "assay-operator"}


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_a_board_is_read_only_tagged_and_shares_its_crosshair(board: dict[str, Any]) -> None:
    assert board["editable"] is False
    assert board["graphTooltip"] == 1
    assert board["tags"] == ["assay"]
    assert board["schemaVersion"] >= 40
    assert board["description"].endswith(".")


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_a_boards_variables(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert (variables["datasource"]["type"], variables["datasource"]["query"]) == ("datasource", "prometheus")
    assert variables["datasource"]["label"] == "Data source"
    for name in ("job", "instance"):
        assert variables[name]["multi"]
        assert variables[name]["includeAll"]
    for variable in variables.values():
        if variable["type"] == "query":
            assert variable["refresh"] == 2, "values follow the time range"
            assert variable["datasource"]["uid"] == "$datasource"


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS.keys())
def test_panels_fill_whole_rows_and_overlap_nowhere(board: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        mine = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not mine & cells, panel["title"]
        cells |= mine
    assert cells == {(x, y) for x in range(24) for y in range(max(y for _, y in cells) + 1)}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_says_what_it_shows(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["datasource"] == {"type": "prometheus", "uid": "$datasource"}
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["targets"]


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_parses_and_selects_job_and_instance_everywhere(expr: str) -> None:
    found = selectors(expand(expr, FOR_LINT))
    assert found
    for name, labels in found:
        assert {"job", "instance"} <= labels.keys(), name
    # as it is written, so that nobody pins them
    assert expr.count('job=~"$job", instance=~"$instance"') == len(found)


@pytest.mark.parametrize("expr", QUERIES)
def test_a_query_asks_for_metrics_and_labels_that_exist(expr: str) -> None:
    for name, labels in selectors(expand(expr, FOR_LINT)):
        assert name in KNOWN, f"{name} is in neither the registry nor the list of Triton's metrics"
        assert labels.keys() <= {*KNOWN[name], *TARGET}, name


@pytest.mark.parametrize("expr", QUERIES)
def test_counters_are_seen_by_their_growth_over_grafanas_interval(expr: str) -> None:
    counters = {
        name
        for name in KNOWN
        if (name.endswith(("_total", "_bucket", "_count", "_sum")) and name != "nv_inference_pending_request_count")
        or (name.startswith("nv_inference_") and name != "nv_inference_pending_request_count")
    }
    counting = r"count by \(instance\) \("
    for name in counters:
        for match in re.finditer(rf"\b{name}\b", expr):
            before = expr[: match.start()]
            assert re.search(rf"((rate|increase)\(|{counting})$", before), f"{name} outside of rate()"
    assert set(re.findall(r"\[([^\]]*)\]", expr)) <= {"$__rate_interval", "1h"}


def rules() -> dict[str, str]:
    groups = yaml.safe_load((CHART / "rules" / "assay.yaml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.mark.parametrize("expr", rules().values(), ids=rules().keys())
def test_an_alert_asks_for_metrics_and_labels_that_exist(expr: str) -> None:
    found = selectors(expr)
    assert found
    for name, labels in found:
        assert name in KNOWN, name
        assert labels.keys() <= {*KNOWN[name], *TARGET}, name


def test_the_lint_sees_into_every_corner() -> None:
    expr = "histogram_quantile(0.5, sum by (le) (rate(a[5m]))) / (b > 0) or -max_over_time(c[5m:1m]) and topk(1, d)"
    assert [name for name, _ in selectors(expr)] == ["a", "b", "c", "d"]
