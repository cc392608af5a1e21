"""The command line on a real cluster, after the demo ran: what it says, that it can recompute the commit, how it ends.

Reads only. The demo is run if its subnet is not there yet.
"""

import json
import os
import subprocess
import sys

import pytest

from cluster import ROOT, LocalCluster

pytestmark = pytest.mark.node

SUBNET = "demo/embeddings"
NOT_THERE = 3


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Of a user of the cluster with the demo on it."""
    found = {key: value for key, value in os.environ.items() if key != "KUBERNETES_SERVICE_HOST"}
    found["KUBECONFIG"] = str(LocalCluster(os.environ.get("ASSAY_CLUSTER", "dev"), "node").kubeconfig)
    if run(found, "status", SUBNET).returncode == NOT_THERE:
        subprocess.run([sys.executable, "-m", "examples.embeddings.demo", "up"], cwd=ROOT, check=True)
    return found


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "assay", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)


def test_replay_reproduces_the_committed_digests_exactly(environment: dict[str, str]) -> None:
    done = run(environment, "replay", SUBNET, "-o", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert answer["verdict"] == "Reproduced"
    assert {one["what"]: one["recomputed"] == one["committed"] for one in answer["comparisons"]} == {
        "inputs": True,
        "state": True,
        "bonds": True,
    }


def test_status_and_explain_tell_why_the_cheat_earns_nothing(environment: dict[str, str]) -> None:
    seen = json.loads(run(environment, "status", SUBNET, "-o", "json").stdout)
    noise = next(row for row in seen["miners"] if row["miner"] == "miner-noise/noise")
    assert noise["incentive"] == 0
    assert noise["why"].startswith("answers are wrong")
    told = json.loads(run(environment, "explain", SUBNET, "noise", "-o", "json").stdout)
    honest = [one for one in told["opinions"] if one["validator"] in ("val-a/val-a", "val-b/val-b", "val-c/val-c")]
    assert [one["qualityPpm"] for one in honest] == [0, 0, 0]


def test_what_if_the_lazy_validator_had_most_of_the_stake(environment: dict[str, str]) -> None:
    done = run(environment, "what-if", SUBNET, "--set", "validators.lazy.stake=9000", "-o", "json")
    answer = json.loads(done.stdout)
    assert answer["faithful"]
    gains = {(one["member"], one["field"]) for one in answer["changes"] if one["after"] > one["before"]}
    assert ("miner-noise/noise", "incentive") in gains


def test_doctor_finds_the_cluster_fit(environment: dict[str, str]) -> None:
    done = run(environment, "doctor", "-o", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0, [one for one in answer["findings"] if one["mark"] == "failed"]
    assert {one["check"] for one in answer["findings"]} >= {"server", "kinds", "rights", "policies", "operator", "gpu"}


def test_a_subnet_that_is_not_there_ends_with_3(environment: dict[str, str]) -> None:
    done = run(environment, "status", "demo/nothing")
    assert (done.returncode, done.stdout) == (3, "")
    assert "Subnet demo/nothing" in done.stderr


def test_watch_prints_a_line_at_the_start_and_follows(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "assay", "status", SUBNET, "--watch", "-o", "json"]
    with subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True) as watching:
        try:
            assert watching.stdout is not None
            first = json.loads(watching.stdout.readline())
        finally:
            watching.terminate()
    assert first["subnet"] == SUBNET
