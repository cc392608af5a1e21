"""A real Prometheus beside the node, which scrapes the real demo, and the dashboards' queries asked of it.

It reaches the pods through the API server, as `kubectl proxy` does. Targets carry the labels that the chart's monitors
give them. A GPU is what no test machine has to have: its series come from an exposition in Triton's form, which stands
beside the real servers.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from cluster import LocalCluster
from grafana import Query, expand, joined, label_values
from helm import CHART
from prometheus import DIES_WITH_PARENT, Server, running

SCRAPE_S = 2
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


@contextlib.contextmanager
def scraping(cluster: LocalCluster, folder: Path) -> Iterator[Server]:
    """Run a Prometheus with the chart's alerts over the demo while the context lasts; its files are in `folder`."""
    with _proxy(cluster) as proxy, _gpu() as gpu:
        operators = [_target(proxy, *pod, 8080) for pod in _pods(cluster, "app.kubernetes.io/component=operator")]
        tritons = [_target(proxy, *pod, 8002) for pod in _pods(cluster, "app.kubernetes.io/name=triton")]
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
        with running(folder / "prometheus.yaml", folder / "data", port) as server:
            yield server


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


def series(server: Server, query: Query, values: dict[str, str], window_s: float = 300) -> list[dict[str, Any]]:
    """What a query gives: `metric` and `values` of each series over the last seconds, or, for a table, as it is now."""
    expr, now = expand(query.expr, values), time.time()
    if query.instant:
        found = server.get("query", query=expr)["result"]
        return [{"metric": row["metric"], "values": [row["value"]]} for row in found]
    window = {"start": str(now - window_s), "end": str(now), "step": "5"}
    return list(server.get("query_range", query=expr, **window)["result"])


@contextlib.contextmanager
def _proxy(cluster: LocalCluster) -> Iterator[str]:
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


@contextlib.contextmanager
def _gpu() -> Iterator[str]:
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


def _pods(cluster: LocalCluster, selector: str) -> list[tuple[str, str]]:
    """Namespace and name of the running pods with these labels."""
    found = json.loads(cluster.kubectl("get", "pods", "-A", "-l", selector, "-o", "json"))["items"]
    return [
        (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for pod in found
        if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]


def _target(address: str, namespace: str, pod: str, port: int) -> dict[str, Any]:
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics"
    labels = {"__metrics_path__": path, "namespace": namespace, "pod": pod, "instance": f"{pod}:{port}"}
    return {"targets": [address], "labels": labels}
