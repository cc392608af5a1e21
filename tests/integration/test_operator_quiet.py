"""A converged operator makes no write but for its Lease, counted by the API server."""

from __future__ import annotations

import time

import pytest

from audit import AuditLog
from installed_chart import OPERATOR, wait_until
from live_market import Market
from operator_process import OperatorProcess
from operator_stage import audit, market, operator, replicas, stage

__all__ = ["audit", "market", "operator", "replicas", "stage"]
pytestmark = pytest.mark.cluster

QUIET_S = 60
SETTLED_S = 5
BLACK_HOLE = "grpc://192.0.2.1:8001"
"""TEST-NET-1: an address to which nobody ever answers."""


def test_sixty_seconds_without_a_change_are_sixty_seconds_without_a_write(
    market: Market, operator: OperatorProcess, audit: AuditLog
) -> None:
    market.apply_all("done", epoch={"length": "1h", "scoringWindow": "30m"})
    market.scorers.silent.add("open-v0")
    market.apply_all("open", epoch={"length": "1h", "scoringWindow": "30m"}, validators=1)
    market.apply_miner("unreachable", "done", endpoint={"url": BLACK_HOLE})
    market.apply_miner("lost", "nowhere")
    market.wait_committed(1, "done")
    market.wait_condition(market.record.deployments, "unreachable", "Ready", reason="Unreachable", timeout_s=30)
    wait_until(lambda: settled(audit), "the operator has come to rest", 60)
    audit.mark()
    deadline = time.monotonic() + QUIET_S
    leased = 0
    while time.monotonic() < deadline:  # the quiet itself is what is measured
        assert audit.writes(OPERATOR) == [], "it wrote although nothing changed"
        assert operator.is_reconciling()
        leased = len(audit.writes(OPERATOR, but=()))
        market.record.subnets.idle(1.0)
    assert leased >= QUIET_S / 3, "it was alive: it renewed its Lease"
    assert operator.metric("workqueue_adds_total") > 0
    assert {line["message"] for line in operator.lines("error")} == set()


def settled(audit: AuditLog) -> bool:
    """Whether the last write is some seconds old, by the server's own clock."""
    return audit.idle_s(OPERATOR) > SETTLED_S
