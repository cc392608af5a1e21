"""Every panel of every dashboard has data: asked of a real Prometheus that scrapes the real demo."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import ROOT, LocalCluster
from demo_prometheus import BOARDS, scraping, series, values_of
from grafana import Query, queries
from prometheus import PrometheusError, Server

pytestmark = pytest.mark.node

DATA_WITHIN_S = 80.0  # a whole epoch of the demo and what rates look back


@pytest.fixture(scope="module")
def cluster() -> LocalCluster:
    """The demo's cluster, after the demo ran there."""
    found = LocalCluster("dev", "node")
    found.up()
    get = ("-n", "demo", "get", "subnets", "--ignore-not-found", "-o", "name")
    if "assay.dev" not in found.kubectl("get", "crds", "-o", "name") or not found.kubectl(*get):
        subprocess.run([sys.executable, "-m", "examples.embeddings.demo", "up"], cwd=ROOT, check=True)
    return found


@pytest.fixture(scope="module")
def server(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prometheus that scrapes the demo and evaluates the chart's alerts."""
    with scraping(cluster, tmp_path_factory.mktemp("prometheus")) as started:
        yield started


def has_data(server: Server, query: Query, values: dict[str, str]) -> bool:
    """Whether a query gives one number at least."""
    found = series(server, query, values)
    return any(not math.isnan(float(value)) for one in found for _, value in one["values"])


def wait_for(condition: Any, within_s: float) -> Any:
    """What the condition gives once it is true, or last."""
    deadline = time.monotonic() + within_s
    while not (found := condition()) and time.monotonic() < deadline:
        threading.Event().wait(2.0)
    return found


@pytest.fixture(scope="module")
def empty(server: Server) -> dict[str, list[str]]:
    """The queries without data, by dashboard, after waiting for an epoch to go by."""
    assert wait_for(lambda: all_up(server), 20), "targets are down: " + json.dumps(server.get("targets"))
    waiting = {(name, query) for name, board in BOARDS.items() for query in queries(board)}

    def nothing_waits() -> bool:
        values = {name: values_of(server, board) for name, board in BOARDS.items()}
        waiting.difference_update({one for one in waiting if has_data(server, one[1], values[one[0]])})
        return not waiting

    wait_for(nothing_waits, DATA_WITHIN_S)
    return {
        name: sorted(f"{query.title} {query.ref}: {query.expr}" for board, query in waiting if board == name)
        for name in BOARDS
    }


def all_up(server: Server) -> bool:
    """Whether every target was scraped."""
    return {one["health"] for one in server.get("targets", state="active")["activeTargets"]} == {"up"}


@pytest.mark.parametrize("board", BOARDS)
def test_every_query_of_a_dashboard_has_data(board: str, empty: dict[str, list[str]]) -> None:
    assert empty[board] == []


def test_prometheus_evaluates_every_alert_and_the_demo_comes_near_no_critical_one(
    server: Server, empty: dict[str, list[str]]
) -> None:
    del empty

    def rules() -> list[dict[str, Any]]:
        return [rule for group in server.get("rules")["groups"] for rule in group["rules"]]

    def critical() -> set[str]:
        return {
            one["name"] for one in rules() if one["labels"]["severity"] == "critical" and one["state"] != "inactive"
        }

    assert {rule["name"]: rule.get("lastError", "") for rule in rules() if rule["health"] != "ok"} == {}
    assert wait_for(lambda: not critical(), 20), critical()


def test_a_metric_that_does_not_exist_is_found_to_be_empty(server: Server, empty: dict[str, list[str]]) -> None:
    del empty
    query = Query("wrong", "A", 'assay_subnet_epochs{job=~"$job"}', instant=False)
    assert not has_data(server, query, {"job": "assay"})
    with pytest.raises(PrometheusError, match="parse error"):
        has_data(server, Query("broken", "A", "sum(", instant=False), {})
