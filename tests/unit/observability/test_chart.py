"""What the chart brings for Prometheus and Grafana: nothing by default, and what each switch says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import prometheus
from alert_cases import CASES
from helm import CHART, ROOT, helm, only, template

OBSERVED = f"--values={Path(__file__).parent / 'values' / 'observed.yaml'}"
MONITORING = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}


@pytest.fixture(scope="module")
def objects() -> list[dict[str, Any]]:
    return template(OBSERVED)


def test_nothing_of_it_is_there_by_default() -> None:
    kinds = [o["kind"] for o in template()]
    assert not MONITORING & set(kinds)
    assert not {"Service", "ConfigMap"} & set(kinds)


def test_lint_accepts_all_of_it() -> None:
    helm("lint", "--strict", str(CHART), OBSERVED)


def test_the_service_monitor_finds_the_service_and_the_service_the_pods(objects: list[dict[str, Any]]) -> None:
    monitor, service = only(objects, "ServiceMonitor"), only(objects, "Service")
    pod = only(objects, "Deployment")["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = service["spec"]["ports"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] == port["name"]
    assert port["targetPort"] in {p["name"] for p in pod["spec"]["containers"][0]["ports"]}
    assert monitor["metadata"]["labels"]["release"] == "kube-prometheus-stack"


def test_the_operators_own_labels_win_over_those_of_its_pod(objects: list[dict[str, Any]]) -> None:
    assert only(objects, "ServiceMonitor")["spec"]["endpoints"][0]["honorLabels"] is True


def test_the_pod_monitor_takes_the_place_of_service_and_service_monitor() -> None:
    rendered = template("--set=podMonitor.enabled=true")
    assert not {"Service", "ServiceMonitor"} & {o["kind"] for o in rendered}
    monitor, pod = only(rendered, "PodMonitor", "assay"), only(rendered, "Deployment")["spec"]["template"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in pod["spec"]["containers"][0]["ports"]}


def test_the_triton_monitor_finds_what_the_operator_makes(objects: list[dict[str, Any]]) -> None:
    spec = only(objects, "PodMonitor", "assay-triton")["spec"]
    golden = ROOT / "tests" / "golden" / "modeldeployment"
    deployments = [
        document
        for path in sorted(golden.rglob("*.yaml"))
        for document in yaml.safe_load_all(path.read_text())
        if isinstance(document, dict) and document.get("kind") == "Deployment"
    ]
    assert deployments
    for deployment in deployments:
        pod = deployment["spec"]["template"]
        assert spec["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
        assert spec["podMetricsEndpoints"][0]["port"] in ports
    assert spec["namespaceSelector"] == {"any": True}


def test_series_have_the_jobs_that_alerts_and_cases_know(objects: list[dict[str, Any]]) -> None:
    def job(monitor: dict[str, Any], endpoints: str) -> str:
        return str(monitor["spec"][endpoints][0]["relabelings"][0]["replacement"])

    assert job(only(objects, "ServiceMonitor"), "endpoints") == "assay"
    assert job(only(template("--set=podMonitor.enabled=true"), "PodMonitor"), "podMetricsEndpoints") == "assay"
    assert job(only(objects, "PodMonitor", "assay-triton"), "podMetricsEndpoints") == "assay-triton"


def test_the_rendered_rules_are_accepted_and_lead_to_runbooks(objects: list[dict[str, Any]], tmp_path: Path) -> None:
    spec = only(objects, "PrometheusRule")["spec"]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(spec))
    assert f"{len(CASES) - 1} rules found" in prometheus.promtool("check", "rules", str(path))
    source = yaml.safe_load((CHART / "rules" / "assay.yaml").read_text())["groups"]
    expected = {rule["alert"]: rule for group in source for rule in group["rules"] if rule["alert"] != "AssayNoGPU"}
    rendered = {rule["alert"]: rule for group in spec["groups"] for rule in group["rules"]}
    assert rendered.keys() == expected.keys()
    for alert, rule in rendered.items():
        assert rule["expr"] == expected[alert]["expr"]
        assert rule["labels"] == expected[alert]["labels"] | {"team": "inference"}
        link = {"runbook_url": f"https://example.com/runbooks/{alert}.md"}
        assert rule["annotations"] == expected[alert]["annotations"] | link


def test_a_group_without_alerts_is_left_out() -> None:
    serving = ["AssayModelLoadFailing", "AssayNoGPU", "AssayRequestsFailing", "AssayRequestsQueueing"]
    rendered = template(
        "--set=prometheusRule.enabled=true", f"--set-json=prometheusRule.disabled={json.dumps(serving)}"
    )
    groups = only(rendered, "PrometheusRule")["spec"]["groups"]
    assert [group["name"] for group in groups] == ["assay-subnet", "assay-operator"]
    assert all("runbook_url" not in rule["annotations"] for group in groups for rule in group["rules"])


def test_dashboards_reach_the_sidecar_byte_for_byte(objects: list[dict[str, Any]]) -> None:
    maps = [o for o in objects if o["kind"] == "ConfigMap"]
    assert {o["metadata"]["name"] for o in maps} == {f"assay-dashboard-{n}" for n in ("subnet", "serving", "operator")}
    for o in maps:
        assert o["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert o["metadata"]["annotations"] == {"grafana_folder": "assay"}
        assert o["metadata"]["namespace"] == "monitoring"
        ((key, text),) = o["data"].items()
        committed = (CHART / "dashboards" / key.removeprefix("assay-")).read_text()
        assert json.loads(text) == json.loads(committed)
        assert len(text.encode()) < 250_000, "annotations of a client-side apply end at 256 KiB"


def test_the_values_of_the_guide_render_everything_it_promises(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guide" / "observe.md").read_text()
    (block,) = re.findall(r"^cat > observe\.yaml <<'EOF'\n(.*?)^EOF$", guide, flags=re.DOTALL | re.MULTILINE)
    (tmp_path / "observe.yaml").write_text(block)
    kinds = {o["kind"] for o in template(f"--values={tmp_path / 'observe.yaml'}")}
    assert {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap", "Service"} <= kinds
