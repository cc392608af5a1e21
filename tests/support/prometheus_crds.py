"""The CRDs of the Prometheus Operator, out of its Go module: pinned by version and by the sum that Go computes."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

MODULE = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
SUM = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="
PLURALS = ("podmonitors", "prometheusrules", "servicemonitors")


def files() -> list[Path]:
    """Paths of the CRDs of monitors and rules. Raises AssertionError if the module is another than the one pinned."""
    with tempfile.TemporaryDirectory() as nowhere:
        argv = ["go", "mod", "download", "-json", MODULE]
        done = subprocess.run(argv, cwd=nowhere, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{MODULE} cannot be downloaded: {done.stdout}{done.stderr}"
    module = json.loads(done.stdout)
    assert module["Sum"] == SUM, f"{MODULE} has the sum {module['Sum']}, and {SUM} is expected"
    folder = Path(module["Dir"]) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{plural}.yaml" for plural in PLURALS]
