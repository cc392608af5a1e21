"""The API server goes away and comes back; the operator stays, and its health tells progress from presence."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from installed_chart import Installation, wait_until
from live_market import Market
from operator_process import OperatorProcess
from operator_stage import market, operator, replicas, stage

__all__ = ["market", "operator", "replicas", "stage"]
pytestmark = pytest.mark.cluster

OUTAGE_S = 5
BACK_S = 10
STALL_S = 11
"""More than the lag of the event loop that is still called healthy."""


def test_five_seconds_without_the_api_server_are_made_up_for_within_ten(
    stage: Installation, market: Market, operator: OperatorProcess
) -> None:
    market.apply_all()
    market.wait_committed(1)
    pid, pods = operator.pid, market.record.pod_uids()
    stage.cluster.stop_apiserver()
    gone_s = time.monotonic()
    while time.monotonic() < gone_s + OUTAGE_S:  # the outage itself
        assert operator.health() == (200, "ok"), "an outage of the API server is no reason to restart the operator"
        market.record.subnets.idle(0.5)
    stage.cluster.start_apiserver()
    back_s = time.monotonic()
    path = market.core("services", "market-m0-triton")
    before = market.server.must("GET", path)["metadata"]["uid"]
    market.delete(path)
    wait_until(lambda: uid_at(market, path) not in {None, before}, "a child is back", BACK_S)
    took_s = time.monotonic() - back_s
    market.wait_committed(market.committed() + 1)
    print(f"down for {back_s - gone_s:.1f} s; reconciled {took_s:.1f} s after the server was ready")
    assert operator.is_running
    assert operator.pid == pid
    assert market.record.check_epochs("market") >= 2
    assert {len(uids) for uids in market.record.job_uids().values()} == {1}
    assert market.record.pod_uids() == pods


def test_health_tells_progress_from_presence(operator: OperatorProcess) -> None:
    assert operator.health() == (200, "ok")
    assert operator.health("/readyz") == (200, "ok")
    with ThreadPoolExecutor(1) as asking:
        operator.pause()
        answer = asking.submit(operator.health, "/healthz", 2 * STALL_S)
        with pytest.raises(TimeoutError):
            answer.result(STALL_S)
        operator.resume()
        status, complaint = answer.result(STALL_S)
    assert status == 503
    assert "event loop" in complaint
    assert "restart" in complaint
    wait_until(lambda: operator.health() == (200, "ok"), "it is well again once it makes progress")


def uid_at(market: Market, path: str) -> str | None:
    answer = market.server.request("GET", path)
    return str(answer.body["metadata"]["uid"]) if answer.status == 200 else None
