"""The demo, as a user runs it, and what it has to show: honesty pays, cheating does not.

Real kubelet, real Triton, the real chart. The numbers are those of the issue "Foundation".
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster import ROOT, LocalCluster

pytestmark = pytest.mark.node

OUTPUT = ROOT / ".build" / "demo"
HONEST = {"honest-0", "honest-1", "honest-2"}
CHEATS = {"quantised", "smaller", "noise", "down"}
HONEST_VALIDATORS = {"val-a", "val-b", "val-c"}
WHOLE = 65_535


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    """The objects that `make demo` leaves behind, after running it."""
    subprocess.run([sys.executable, "-m", "examples.embeddings.demo", "up"], cwd=ROOT, check=True)
    return {path.stem: json.loads(path.read_text()) for path in Path(OUTPUT).glob("*.json")}


@pytest.fixture(scope="module")
def incentives(demo: dict[str, Any]) -> dict[str, int]:
    return {row["name"]: row["incentive"] for row in demo["subnet"]["status"]["miners"]}


def test_every_honest_miner_earns_more_than_the_slow_one_and_the_slow_one_more_than_every_cheat(
    incentives: dict[str, int],
) -> None:
    assert min(incentives[name] for name in HONEST) > incentives["slow"]
    assert incentives["slow"] > max(incentives[name] for name in CHEATS)


def test_the_cheats_together_hold_less_than_two_percent(incentives: dict[str, int]) -> None:
    assert sum(incentives[name] for name in CHEATS) < 0.02 * WHOLE


def test_the_lazy_validator_earns_less_for_its_stake_than_every_honest_one(demo: dict[str, Any]) -> None:
    rows = {row["name"]: row["dividends"] / row["stake"] for row in demo["subnet"]["status"]["validators"]}
    assert rows["lazy"] < min(rows[name] for name in HONEST_VALIDATORS)


def test_every_validator_reported_in_the_final_epoch_and_nothing_was_rejected(demo: dict[str, Any]) -> None:
    committed = demo["subnet"]["status"]["committed"]
    assert committed["reports"] == {"expected": 4, "received": 4, "rejected": 0}


def test_every_miner_and_validator_shows_its_own_row(demo: dict[str, Any]) -> None:
    status = demo["subnet"]["status"]
    miners = {item["metadata"]["name"]: item["status"] for item in demo["modeldeployments"]["items"]}
    for row in status["miners"]:
        mirrored = miners[row["name"]]["consensus"]
        assert {key: mirrored[key] for key in ("epoch", "weight", "incentive", "emission")} == {
            "epoch": status["committed"]["number"],
            **{key: row[key] for key in ("weight", "incentive", "emission")},
        }
    validators = {item["metadata"]["name"]: item["status"] for item in demo["validatorpolicies"]["items"]}
    for row in status["validators"]:
        mirrored = validators[row["name"]]["consensus"]
        assert (mirrored["trust"], mirrored["dividends"]) == (row["trust"], row["dividends"])


def test_the_emission_of_an_epoch_is_paid_out_to_the_last_unit(demo: dict[str, Any]) -> None:
    emission = demo["subnet"]["spec"]["emission"]
    status = demo["subnet"]["status"]
    paid = sum(row["emission"] for row in (*status["miners"], *status["validators"]))
    assert paid == emission["perEpoch"] - emission["perEpoch"] * emission["ownerCut"] // WHOLE


def test_the_down_miner_says_why_and_the_others_serve(demo: dict[str, Any]) -> None:
    ready = {
        item["metadata"]["name"]: next(one for one in item["status"]["conditions"] if one["type"] == "Ready")
        for item in demo["modeldeployments"]["items"]
    }
    assert (ready["down"]["status"], ready["down"]["reason"]) == ("False", "Unreachable")
    assert {name for name, one in ready.items() if one["status"] != "True"} == {"down"}


def test_no_pod_of_the_operator_restarted(demo: dict[str, Any]) -> None:
    cluster = LocalCluster("dev", "node")
    pods = json.loads(cluster.kubectl("-n", "assay-system", "get", "pods", "-o", "json"))["items"]
    restarts = [status["restartCount"] for pod in pods for status in pod["status"]["containerStatuses"]]
    assert restarts
    assert sum(restarts) == 0
