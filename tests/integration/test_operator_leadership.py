"""Two replicas: when the leader is killed or paused the other takes over; asked to go, it hands over at once."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from audit import AuditLog
from installed_chart import OPERATOR, wait_until
from live_market import Market
from operator_process import LEASE, OperatorProcess
from operator_stage import StartReplica, audit, market, replicas, stage

__all__ = ["audit", "market", "replicas", "stage"]
pytestmark = pytest.mark.cluster

LEASE_S = 6
"""How long others wait for a leader that is silent."""
TAKEOVER_S = LEASE_S + 4
HANDOVER_S = 4


def test_there_is_always_one_leader_whatever_becomes_of_the_last(
    market: Market, replicas: StartReplica, audit: AuditLog
) -> None:
    leader, standby = replicas("assay-a"), replicas("assay-b")
    leader.start_and_lead()
    standby.start()
    market.apply_all()
    took_s: dict[str, list[float]] = {"SIGKILL": [], "SIGTERM": [], "SIGSTOP": []}
    for _ in range(2):
        took_s["SIGKILL"].append(take_over(standby, leader.kill))
        leader.start()
        leader, standby = standby, leader
    exits_s: list[float] = []
    took_s["SIGTERM"].append(take_over(standby, lambda: exits_s.append(leader.terminate())))
    leader.start()
    leader, standby = standby, leader
    took_s["SIGSTOP"].append(take_over(standby, leader.pause))
    # It was paused in the belief to lead; it has to find out before it writes.
    leader.resume()
    market.wait_committed(market.committed() + 1)
    print("takeover in s after", {name: [round(s, 1) for s in them] for name, them in took_s.items()}, end="; ")
    print(f"SIGTERM took {exits_s[0]:.1f} s")
    assert holder(market) == standby.identity
    assert leader.health() == standby.health() == (200, "ok")
    assert max(*took_s["SIGKILL"], *took_s["SIGSTOP"]) < TAKEOVER_S
    assert max(*took_s["SIGTERM"], *exits_s) < HANDOVER_S
    assert market.record.check_epochs("market") >= 2
    assert {len(uids) for uids in market.record.job_uids().values()} == {1}
    assert set(audit.creations(OPERATOR, "jobs", market.namespace).values()) == {1}
    assert {line["message"] for line in (*leader.lines("error"), *standby.lines("error"))} == set()


def take_over(standby: OperatorProcess, end: Callable[[], None]) -> float:
    """End the leader. Returns how long it took until the other reconciled, in seconds."""
    wait_until(lambda: standby.health("/readyz")[0] == 200, f"{standby.identity} is up")
    started_s = time.monotonic()
    end()
    standby.wait_leading()
    return time.monotonic() - started_s


def holder(market: Market) -> str | None:
    found = market.server.must("GET", LEASE)["spec"].get("holderIdentity")
    return str(found) if found else None
