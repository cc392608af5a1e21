"""Every alert fires when it should, is silent when it should, says what it must, and has a runbook page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import prometheus
from alert_cases import CASES, Case
from helm import CHART, ROOT

FILE = CHART / "rules" / "assay.yaml"
RULES: dict[str, dict[str, Any]] = {
    rule["alert"]: rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]
}
RUNBOOKS = ROOT / "docs" / "runbooks"
SECTIONS = ["Meaning", "Impact", "Look", "Do"]


def test_promtool_accepts_the_rules() -> None:
    assert f"{len(RULES)} rules found" in prometheus.promtool("check", "rules", str(FILE))


def test_every_alert_has_a_case_and_there_are_ten_at_least() -> None:
    assert CASES.keys() == RULES.keys()
    assert len(RULES) >= 10


def run(folder: Path, tests: list[dict[str, Any]]) -> None:
    """Let promtool run unit tests of the rules. Raises PrometheusError with the difference."""
    path = folder / "tests.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": tests}))
    prometheus.promtool("test", "rules", str(path))


def unit_test(alert: str, at: str, series: dict[str, str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
    }


@pytest.mark.parametrize(("alert", "case"), CASES.items(), ids=CASES.keys())
def test_it_fires_and_says_what_is_wrong_where(alert: str, case: Case, tmp_path: Path) -> None:
    annotations = {"summary": case.summary, "description": RULES[alert]["annotations"]["description"]}
    expected = {"exp_labels": case.labels | {"severity": case.severity}, "exp_annotations": annotations}
    run(tmp_path, [unit_test(alert, case.at, case.fires, [expected])])


@pytest.mark.parametrize(
    ("alert", "case", "why"),
    [(alert, case, why) for alert, case in CASES.items() for why in case.quiet],
    ids=[f"{alert}: {why}" for alert, case in CASES.items() for why in case.quiet],
)
def test_it_is_silent_when(alert: str, case: Case, why: str, tmp_path: Path) -> None:
    run(tmp_path, [unit_test(alert, case.at, case.quiet[why], [])])


def test_a_commit_without_a_report_makes_the_consensus_stale_too(tmp_path: Path) -> None:
    labels = 'kind="Subnet", namespace="n", name="s", type="ConsensusFresh", status="False", reason="NoReports"'
    rule = RULES["AssayConsensusStale"]
    expected = {
        "exp_labels": {"namespace": "n", "subnet": "s", "severity": "critical"},
        "exp_annotations": {
            "summary": "The consensus of subnet n/s is stale.",
            "description": rule["annotations"]["description"],
        },
    }
    run(tmp_path, [unit_test("AssayConsensusStale", "60m", {f"assay_condition{{{labels}}}": "1x120"}, [expected])])


def test_a_cluster_without_the_operator_has_no_leader(tmp_path: Path) -> None:
    rule = RULES["AssayNoLeader"]["annotations"]
    expected = {"exp_labels": {"severity": "critical"}, "exp_annotations": rule}
    run(tmp_path, [unit_test("AssayNoLeader", "60m", {'up{job="other"}': "1x120"}, [expected])])


@pytest.mark.parametrize(("alert", "rule"), RULES.items(), ids=RULES.keys())
def test_form(alert: str, rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"Assay[A-Z]\w+", alert)
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description"}
    assert all(text.endswith(".") for text in rule["annotations"].values())
    assert "{{" not in rule["annotations"]["description"], "what varies is in the summary, which is tested"


@pytest.mark.parametrize("alert", RULES)
def test_runbook(alert: str) -> None:
    text = (RUNBOOKS / f"{alert}.md").read_text()
    headings = re.findall(
        r"^(#+) (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    assert headings[0] == ("#", alert)
    assert [title for mark, title in headings[1:] if mark == "##"] == SECTIONS
    assert RULES[alert]["labels"]["severity"] in text.splitlines()[2]


def test_every_page_is_of_an_alert_and_listed() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    listed = set(re.findall(r"\]\((\w+)\.md\)", (RUNBOOKS / "README.md").read_text()))
    assert pages == listed == RULES.keys()
