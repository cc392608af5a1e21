"""Granted is used: the operator runs under the chart's roles through whole epochs, and the audit log is compared.

kwok plays the kubelet, and the reports come from the test, filed under each validator's own scoring identity.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from installed_chart import (
    MERGE,
    NAMESPACE,
    OPERATOR,
    RELEASE,
    Installation,
    installation,
    model_deployment,
    path_of,
    subnet,
    validator_policy,
    wait_until,
)
from rights import Right, granted, refused, used

__all__ = ["installation"]
pytestmark = pytest.mark.cluster

NS = "rights"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/assay-operator"
SEED = f"/api/v1/namespaces/{NAMESPACE}/secrets/assay-challenge-seed"

# Asked by the API server itself while it admits a request, so never a request of its own in the audit log.
CHECKED_ON_THE_WAY = {
    Right("rbac.authorization.k8s.io", "clusterroles", "bind"),
    *(
        Right("assay.dev", f"{kind}/finalizers", "update")
        for kind in ("subnets", "modeldeployments", "validatorpolicies")
    ),
}
# Repeated events are counted up minutes later, longer than this test runs.
NOT_IN_THIS_TEST = {Right("events.k8s.io", "events", "patch")}


@dataclass
class Market:
    """A subnet with two validators and three miners, and the operator at work on it."""

    server: Installation
    operator: subprocess.Popen[bytes]
    log: Path
    filed: set[str] = field(default_factory=set)

    def names(self, path: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.server.must("GET", path)["items"]}

    def committed(self) -> int:
        """Number of the last committed epoch."""
        status = self.server.must("GET", path_of("subnets", NS, "market")).get("status", {})
        return int(status.get("committed", {}).get("number", 0))

    def file_reports(self) -> None:
        """One report for every assignment that has none yet."""
        path = f"/api/v1/namespaces/{NS}/configmaps?labelSelector=app.kubernetes.io/name=assignment"
        for config_map in self.server.must("GET", path)["items"]:
            text = config_map["data"]["assignment.json"]
            report = report_for(json.loads(text), text)
            if report["metadata"]["name"] in self.filed:
                continue
            self.filed.add(report["metadata"]["name"])
            scorer = f"system:serviceaccount:{NS}:{report['spec']['validator']['name']}-scorer"
            self.server.must("POST", path_of("scorereports", NS), report, user=scorer)

    def reaches(self, epoch: int) -> bool:
        """Whether the epoch is committed; keeps the validators reporting meanwhile."""
        assert self.operator.poll() is None, self.log.read_text()[-4000:]
        self.file_reports()
        return self.committed() >= epoch


def report_for(assignment: dict[str, Any], text: str) -> dict[str, Any]:
    own = assignment["report"]
    return {
        "apiVersion": "assay.dev/v1alpha1",
        "kind": "ScoreReport",
        "metadata": {"name": own["name"], "namespace": own["namespace"], "ownerReferences": [own["ownerReference"]]},
        "spec": {
            "subnet": assignment["subnet"],
            "epoch": assignment["epoch"],
            "validator": {key: assignment["validator"][key] for key in ("name", "uid")},
            "assignmentDigest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}",
            "scores": [
                {"uid": miner["uid"], "weight": 65535, "samples": 32, "qualityPpm": 999871}
                for miner in assignment["miners"]
            ],
            "startedAt": "2026-11-24T20:10:00Z",
            "finishedAt": "2026-11-24T20:11:00Z",
        },
    }


@pytest.fixture(scope="module")
def market(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    if not installation.cluster.owned:
        pytest.skip("the audit log of a cluster of the user's own is not ours to read")
    installation.install("--set=replicaCount=0")  # the operator runs here, as the Deployment's pods would
    installation.namespace(NS)
    installation.request("DELETE", SEED)
    folder = tmp_path_factory.mktemp("operator")
    log = folder / "log"
    argv = [sys.executable, "-m", "assay", "operator", "--scorer-image=scorer:1", "--metrics-port=0", "--health-port=0"]
    with log.open("wb") as output:
        operator = subprocess.Popen(
            [*argv, f"--kubeconfig={kubeconfig(installation, folder)}"],
            env={**os.environ, "POD_NAMESPACE": NAMESPACE, "POD_NAME": "assay-0"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Market(installation, operator, log)
    finally:
        operator.send_signal(signal.SIGTERM)
        try:
            operator.wait(20)
        finally:
            operator.kill()
            installation.request("DELETE", f"/api/v1/namespaces/{NS}")


def kubeconfig(server: Installation, folder: Path) -> Path:
    """The cluster's kubeconfig with the operator's token in the place of the admin's certificate."""
    config = yaml.safe_load(server.cluster.kubectl("config", "view", "--raw", "--flatten"))
    config["users"][0]["user"] = {"token": server.token(NAMESPACE, RELEASE)}
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def make_market(server: Installation) -> None:
    """A small market with short epochs."""
    market = subnet("market", NS)
    market["spec"]["epoch"] = {"length": "10s", "scoringWindow": "6s", "historyLimit": 2}
    market["spec"]["validators"] = [{"policyRef": {"namespace": NS, "name": "val-a"}, "stake": 1000}]
    server.must("POST", path_of("subnets", NS), market)
    server.must("POST", path_of("validatorpolicies", NS), validator_policy("val-a", NS))
    server.must("POST", f"/api/v1/namespaces/{NS}/configmaps", {"metadata": {"name": "model"}, "data": {"a": "b"}})
    served = model_deployment("served", NS)
    del served["spec"]["endpoint"]
    served["spec"] |= {"triton": {"source": {"configMap": {"name": "model"}}}, "subnetRef": {"name": "market"}}
    server.must("POST", path_of("modeldeployments", NS), served)


def test_every_right_is_used_and_none_is_missing(market: Market) -> None:
    server = market.server
    log = server.cluster.audit_log_path
    before = log.stat().st_size
    make_market(server)
    wait_until(lambda: market.reaches(1), "the first epoch is committed", timeout_s=90)
    owners = server.must("GET", SEED)["metadata"]["ownerReferences"]
    assert [(owner["kind"], owner["name"]) for owner in owners] == [("Lease", "assay-operator")], (
        "goes with the release"
    )
    # A lost Lease is made anew, and a miner that moves elsewhere gives up what it had here.
    server.must("DELETE", LEASE)
    elsewhere = {"spec": {"triton": None, "endpoint": {"url": "grpcs://miner.example:8001"}}}
    server.must("PATCH", path_of("modeldeployments", NS, "served"), elsewhere, content_type=MERGE)
    deployments = f"/apis/apps/v1/namespaces/{NS}/deployments"
    wait_until(lambda: not market.names(deployments), "the Deployment is gone", timeout_s=60)
    last = market.committed() + 4
    wait_until(lambda: market.reaches(last), f"epoch {last} is committed, and old reports collected", timeout_s=120)
    wait_until(lambda: len(market.names(path_of("scorereports", NS))) <= 3, "old reports are collected")
    assert server.request("GET", LEASE).status == 200

    tail = market.log.with_name("audit")
    with log.open("rb") as source:
        source.seek(before)
        tail.write_bytes(source.read())
    assert refused(tail, OPERATOR) == set()
    has = granted(server.must("GET", f"{RBAC}/clusterroles/{RELEASE}")["rules"])
    has |= granted(server.must("GET", f"{RBAC}/namespaces/{NAMESPACE}/roles/{RELEASE}")["rules"])
    did = used(tail, OPERATOR)
    assert did - has == set(), "used, but not granted by these roles"
    assert has - did - CHECKED_ON_THE_WAY - NOT_IN_THIS_TEST == set(), "granted, but never used"
