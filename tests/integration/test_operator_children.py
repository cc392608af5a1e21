"""Whatever the operator made comes back when somebody deletes it, whether the operator was looking or not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from audit import AuditLog
from installed_chart import OPERATOR
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


def test_a_child_deleted_by_hand_is_back_soon(market: Market, operator: OperatorProcess, audit: AuditLog) -> None:
    two_markets(market)
    found = children(market)
    took_s = {what: time_until_back(market, path, market.delete) for what, path in found.items()}
    print("back after", {what: round(seconds, 2) for what, seconds in took_s.items()})
    assert max(took_s.values()) < BACK_S
    assert {line["message"] for line in operator.lines("error")} == set()
    assert market.committed("done") == 1, "what was committed stays so"
    assert set(audit.creations(OPERATOR, "jobs", market.namespace).values()) <= {1, 2}, "the one deleted, once more"


def test_what_was_deleted_while_the_operator_was_down_is_back_soon_after_it_is_up(
    market: Market, operator: OperatorProcess
) -> None:
    two_markets(market)
    found = children(market)
    before = {path: uid_of(market, path) for path in found.values()}
    assert None not in before.values()
    operator.kill()
    for path in found.values():
        market.delete(path)
    started_s = time.monotonic()
    operator.start_and_lead()
    up_s = time.monotonic()
    missing = set(before)
    took_s: dict[str, float] = {}
    while missing:
        for what, path in found.items():
            if path in missing and uid_of(market, path) not in {None, before[path]}:
                missing.discard(path)
                took_s[what] = round(max(0.0, time.monotonic() - up_s), 2)
        assert time.monotonic() < up_s + BACK_S, f"not back within {BACK_S} s: {missing}"
    print(f"up after {up_s - started_s:.1f} s, back after", took_s)
    assert {line["message"] for line in operator.lines("error")} == set()


def time_until_back(market: Market, path: str, delete: Callable[[str], None]) -> float:
    """Delete an object, and wait for another of its name. Returns how long that took, in seconds."""
    before = uid_of(market, path)
    assert before is not None, f"{path} is not there"
    delete(path)
    started_s = time.monotonic()
    while uid_of(market, path) in {None, before}:
        assert time.monotonic() - started_s < 3 * BACK_S, f"not back: {path}"
    return time.monotonic() - started_s


def uid_of(market: Market, path: str) -> str | None:
    answer = market.server.request("GET", path)
    return str(answer.body["metadata"]["uid"]) if answer.status == 200 else None
