"""Monitors, rules and dashboards are what the real API server takes, under the real CRDs of the Prometheus Operator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster import ROOT, ClusterCommandError, LocalCluster
from helm import only, template
from prometheus_crds import PLURALS, files

pytestmark = pytest.mark.cluster

OBSERVED = f"--values={ROOT / 'tests/unit/observability/values/observed.yaml'}"
NAMESPACE = "monitors"
CASES = {
    "everything": [OBSERVED, "--set=grafanaDashboards.namespace="],
    "a PodMonitor instead": ["--set=podMonitor.enabled=true", "--set=prometheusRule.enabled=true"],
    "all that can be added to a monitor": [
        "--set=serviceMonitor.enabled=true",
        "--set=serviceMonitor.honorLabels=false",
        "--set=serviceMonitor.scrapeTimeout=5s",
        '--set-json=serviceMonitor.relabelings=[{"action":"labeldrop","regex":"a"}]',
        '--set-json=serviceMonitor.metricRelabelings=[{"action":"drop","sourceLabels":["__name__"],"regex":"go_.*"}]',
    ],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A cluster with the CRDs, which go again."""
    found = LocalCluster(name="it")
    found.up()
    paths = [str(path) for path in files()]
    apply = [argument for path in paths for argument in ("-f", path)]
    found.kubectl("apply", "--server-side", "--force-conflicts", *apply)
    crds = [f"crd/{plural}.monitoring.coreos.com" for plural in PLURALS]
    found.kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds)
    found.kubectl("create", "namespace", NAMESPACE)
    yield found
    found.kubectl("delete", "--timeout=60s", "namespace", NAMESPACE)
    found.kubectl("delete", *crds)


def dry_run(cluster: LocalCluster, objects: list[dict[str, Any]]) -> list[str]:
    """What the API server says to each object. Raises ClusterCommandError if it refuses one."""
    argv = ("apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-")
    return cluster.kubectl(*argv, stdin=yaml.safe_dump_all(objects)).splitlines()


@pytest.mark.parametrize("argv", CASES.values(), ids=CASES.keys())
def test_the_api_server_accepts_it(cluster: LocalCluster, argv: list[str]) -> None:
    kinds = {"ServiceMonitor", "PodMonitor", "PrometheusRule", "Service", "ConfigMap"}
    objects = [o for o in template(*argv, namespace=NAMESPACE) if o["kind"] in kinds]
    assert len(objects) >= 2
    assert len(dry_run(cluster, objects)) == len(objects)


def test_a_misspelt_field_would_be_refused(cluster: LocalCluster) -> None:
    monitor = only(template("--set=podMonitor.enabled=true", namespace=NAMESPACE), "PodMonitor")
    monitor["spec"]["podMetricsEndpoints"][0]["honourLabels"] = True
    with pytest.raises(ClusterCommandError, match="honourLabels"):
        dry_run(cluster, [monitor])
