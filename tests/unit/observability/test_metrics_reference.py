"""The page on metrics is what the code says, and the operator's own exposition passes promtool's lint of names."""

from __future__ import annotations

import re
import subprocess

from prometheus_client import generate_latest

import generate_metrics_reference as generator
import prometheus
from assay.telemetry.market import ConditionReading, MinerReading, SubnetReading, ValidatorReading
from assay.telemetry.metrics import Metrics


def test_the_page_is_what_the_generator_writes() -> None:
    assert generator.PAGE.read_text() == generator.page(), "run `python hack/generate_metrics_reference.py`"


def test_every_metric_of_the_registry_is_on_the_page() -> None:
    page = generator.PAGE.read_text()
    own = [family for family in Metrics().registry.collect() if not family.name.startswith(("process_", "python_"))]
    assert len(own) > 40
    for family in own:
        assert re.search(rf"`{family.name}(_total)?`", page), family.name


def test_names_are_spelt_as_prometheus_wants_them() -> None:
    metrics = Metrics()
    metrics.queue("Subnet")
    metrics.market.report_subnet(
        SubnetReading(
            "n", "s", 1, 1, 300.0, False,
            miners=(MinerReading(0, "m", "a", 1, 1, 1.0),),
            validators=(ValidatorReading("v", "x", 1, 1, stake=1),),
        ),
        ["NoStake"],
    )  # fmt: skip
    metrics.market.report_conditions("Subnet", "n", "s", [ConditionReading("Ready", "True", "SubnetReady")])
    metrics.market.report_filed(("n", "s"), 1.0)
    text = re.sub(r"^.*_created.*\n", "", generate_latest(metrics.registry).decode(), flags=re.MULTILINE)
    done = subprocess.run(
        [prometheus.program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
