"""Whatever the operator made comes back when somebody deletes it, whether the operator was looking or not."""

from __future__ import annotations

import time

import pytest

from audit import AuditLog
from installed_chart import OPERATOR, wait_until
from live_market import Market, condition
from operator_process import OperatorProcess
from operator_stage import audit, market, operator, replicas, stage

__all__ = ["audit", "market", "operator", "replicas", "stage"]
pytestmark = pytest.mark.cluster

LONG = {"length": "10m", "scoringWindow": "5m", "historyLimit": 3}
BACK_S = 10
"""What the issue asks for."""


def two_markets(market: Market) -> None:
    """One whose epoch is open and waits for reports, one whose epoch is committed and has bonds."""
    market.scorers.silent |= {"open-v0", "open-v1"}
    market.apply_all("open", epoch=LONG)
    market.apply_all("done", epoch=LONG)
    market.wait_committed(1, "done")
    market.record.jobs.wait(
        lambda: (
            {one["metadata"]["labels"]["assay.dev/name"] for one in market.record.jobs.objects()}
            >= {"open-v0", "done-v0"}
        ),
        "the open epoch has its Job",
    )
    market.record.workloads.wait(
        lambda: all(
            (condition(market.record.deployments.get(f"{name}-m{number}"), "Ready") or {}).get("status") == "True"
            for name in ("open", "done")
            for number in (0, 1)
        ),
        "all miners are ready",
    )


def children(market: Market) -> dict[str, str]:
    """What the operator made in the two markets, one of each sort: address by a name for it."""
    ns = market.namespace
    jobs = [one["metadata"]["name"] for one in market.record.jobs.objects()]
    job = next(name for name in jobs if name.startswith("open-v0-"))
    bond = market.subnet("done")["status"]["committed"]["bonds"][0]["name"]
    return {
        "Deployment": f"/apis/apps/v1/namespaces/{ns}/deployments/open-m0-triton",
        "Service": market.core("services", "open-m0-triton"),
        "ServiceAccount of a miner": market.core("serviceaccounts", "open-m0-triton"),
        "ServiceAccount of a scorer": market.core("serviceaccounts", "open-v0-scorer"),
        "RoleBinding": f"/apis/rbac.authorization.k8s.io/v1/namespaces/{ns}/rolebindings/open-v0-scorer",
        "Job": f"/apis/batch/v1/namespaces/{ns}/jobs/{job}",
        "assignment": market.core("configmaps", job),
        "bonds": market.core("configmaps", bond),
    }


def test_what_was_deleted_by_hand_is_back_soon_whether_the_operator_was_looking_or_not(
    market: Market, operator: OperatorProcess, audit: AuditLog
) -> None:
    two_markets(market)
    took_s = {what: time_until_back(market, path) for what, path in children(market).items()}
    print("up: back after", {what: round(seconds, 2) for what, seconds in took_s.items()})
    assert max(took_s.values()) < BACK_S

    operator.kill()
    found = children(market)
    before = {what: uid_of(market, path) for what, path in found.items()}
    assert None not in before.values()
    for path in found.values():
        market.delete(path)
    up_s = operator.start_and_lead()
    began_s = time.monotonic()
    for what, path in found.items():
        wait_until(lambda what=what, path=path: is_back(market, path, before[what]), f"{what} is back", BACK_S)
        took_s[what] = time.monotonic() - began_s
    print(f"down: up after {up_s:.1f} s, back after", {what: round(seconds, 2) for what, seconds in took_s.items()})
    assert max(took_s.values()) < BACK_S
    assert {line["message"] for line in operator.lines("error")} == set()
    assert market.committed("done") == 1, "what was committed stays so"
    jobs = audit.creations(OPERATOR, "jobs", market.namespace)
    assert sorted(jobs.values()) == [1] * (len(jobs) - 1) + [3], "the one that was deleted twice, and no other"


def time_until_back(market: Market, path: str) -> float:
    """Delete an object, and wait for another of its name. Returns how long that took, in seconds."""
    before = uid_of(market, path)
    assert before is not None, f"{path} is not there"
    market.delete(path)
    started_s = time.monotonic()
    wait_until(lambda: is_back(market, path, before), f"{path} is back", 3 * BACK_S)
    return time.monotonic() - started_s


def is_back(market: Market, path: str, before: str | None) -> bool:
    return uid_of(market, path) not in {None, before}


def uid_of(market: Market, path: str) -> str | None:
    answer = market.server.request("GET", path)
    return str(answer.body["metadata"]["uid"]) if answer.status == 200 else None
