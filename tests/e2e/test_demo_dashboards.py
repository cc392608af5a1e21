"""Every panel of every dashboard has data: asked of a real Prometheus that scrapes the real demo.

Prometheus runs beside the node and reaches the pods through the API server, as `kubectl proxy` does. Targets carry the
labels that the chart's monitors give them. A GPU is what no test machine has to have: its panels are asked of an
exposition in Triton's form, which stands beside the real servers; everything else is measured.
"""

from __future__ import annotations

import http.server
import json
import math
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster import ROOT, LocalCluster
from grafana import Query, expand, joined, label_values, queries
from helm import CHART
from prometheus import DIES_WITH_PARENT, PrometheusError, Server, running

pytestmark = pytest.mark.node

SCRAPE_S = 2
DATA_WITHIN_S = 80.0  # a whole epoch of the demo and what rates look back
BOARDS = {path.stem: json.loads(path.read_text()) for path in sorted((CHART / "dashboards").glob("*.json"))}
ONE_OF = {"namespace": "demo", "subnet": "embeddings"}
"""The choice in variables that take one value."""
GPU = """# TYPE nv_inference_request_success counter
nv_inference_request_success{model="minilm",version="1"} 1
nv_gpu_utilization{gpu_uuid="GPU-0"} 0.5
nv_gpu_memory_used_bytes{gpu_uuid="GPU-0"} 1e9
nv_gpu_memory_total_bytes{gpu_uuid="GPU-0"} 8e10
nv_gpu_power_usage{gpu_uuid="GPU-0"} 310
"""


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
def proxy(cluster: LocalCluster) -> Iterator[str]:
    """host:port where the API server answers without credentials."""
    argv = [*DIES_WITH_PARENT, cluster.kubectl_path, f"--kubeconfig={cluster.kubeconfig}", "proxy", "--port=0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "Starting to serve on " in line, line
            yield line.strip().rpartition(" ")[2]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def gpu() -> Iterator[str]:
    """host:port of an exposition as a Triton server with a GPU has it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(GPU.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the base class
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def pods(cluster: LocalCluster, selector: str) -> list[tuple[str, str]]:
    """Namespace and name of the running pods with these labels."""
    found = json.loads(cluster.kubectl("get", "pods", "-A", "-l", selector, "-o", "json"))["items"]
    return [
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in found
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]


def target(address: str, namespace: str, pod: str, port: int) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"
    labels = {"__metrics_path__": path, "namespace": namespace, "pod": pod, "instance": f"{pod}:{port}"}
    return {"targets": [address], "labels": labels}


@pytest.fixture(scope="module")
def server(cluster: LocalCluster, proxy: str, gpu: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Prometheus that scrapes the demo and evaluates the chart's alerts."""
    folder = tmp_path_factory.mktemp("prometheus")
    operators = [target(proxy, *pod, 8080) for pod in pods(cluster, "app.kubernetes.io/component=operator")]
    tritons = [target(proxy, *pod, 8002) for pod in pods(cluster, "app.kubernetes.io/name=triton")]
    assert operators, "no pod of the operator runs: see the demo"
    assert tritons, "no pod of Triton runs: see the demo"
    tritons.append({"targets": [gpu], "labels": {"namespace": "gpu", "pod": "gpu-0", "instance": "gpu-0:8002"}})
    config = {
        "global": {"scrape_interval": f"{SCRAPE_S}s", "evaluation_interval": "5s"},
        "rule_files": [str(CHART / "rules" / "assay.yaml")],
        "scrape_configs": [
            {"job_name": "assay", "honor_labels": True, "static_configs": operators},
            {"job_name": "assay-triton", "static_configs": tritons},
        ],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with running(folder / "prometheus.yaml", folder / "data", port) as started:
        yield started


def values_of(server: Server, board: dict[str, Any]) -> dict[str, str]:
    """The board's variables as Grafana would fill them in: all values, or the demo's subnet."""
    values = {"datasource": "x"}
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        selector, label = label_values(variable["query"])
        found = server.get(f"label/{label}/values", **{"match[]": expand(selector, values)})
        name = variable["name"]
        if variable.get("multi"):
            values[name] = joined(found)
        else:
            assert ONE_OF[name] in found, f"${name} offers {found}"
            values[name] = ONE_OF[name]
        assert values[name], f"${name} has no value"
    return values


def has_data(server: Server, query: Query, values: dict[str, str]) -> bool:
    """Whether a query gives one number at least, over the last minutes or, for a table, now."""
    expr, now = expand(query.expr, values), time.time()
    if query.instant:
        rows = [[row["value"]] for row in server.get("query", query=expr)["result"]]
    else:
        window = {"start": str(now - 300), "end": str(now), "step": "5"}
        rows = [row["values"] for row in server.get("query_range", query=expr, **window)["result"]]
    return any(not math.isnan(float(value)) for row in rows for _, value in row)


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
