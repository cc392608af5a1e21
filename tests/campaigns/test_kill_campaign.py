"""SIGKILL hundreds of times: at moments drawn evenly from an epoch, and at exact writes; and how soon another leads.

A make target of its own; the gate has twenty of them. Give another seed to look elsewhere:

    make campaign-kills KILLS=500 SEED=7
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import kills
from audit import AuditLog
from installed_chart import Installation, wait_until
from killing_proxy import KillingProxy
from live_market import Market
from operator_process import OperatorProcess, operator_kubeconfig
from operator_stage import StartReplica, audit, market, prepared, replicas

__all__ = ["audit", "market", "replicas"]
pytestmark = [pytest.mark.cluster, pytest.mark.long]

KILLS = int(os.environ.get("KILLS", "200"))
SEED = int(os.environ.get("SEED", "1"))
BATCH = 20
TAKEOVERS = max(10, KILLS // 4)
TAKEOVER_S = 10


@pytest.fixture(scope="module")
def stage() -> Installation:
    """A cluster apart from the gate's."""
    return prepared("kills")


def test_killed_hundreds_of_times_it_loses_and_repeats_nothing(
    stage: Installation, market: Market, audit: AuditLog, tmp_path: Path
) -> None:
    direct = operator_kubeconfig(stage, tmp_path)
    with KillingProxy(direct) as proxy:
        operator = OperatorProcess(operator_kubeconfig(stage, tmp_path, through=proxy.address), tmp_path)
        try:
            operator.start_and_lead()
            kills.open_market(market)
            pods = market.record.pod_uids()
            plan = kills.plan(KILLS, SEED)
            for first in range(0, KILLS, BATCH):
                took_s = kills.campaign(plan[first : first + BATCH], market, operator, proxy)
                found = kills.check(market, audit, pods)
                print(f"{min(first + BATCH, KILLS)} kills, the last {BATCH} in {took_s:.0f} s: {found}", flush=True)
            assert {line["message"] for line in operator.lines("error")} == set()
        finally:
            operator.close()


def test_somebody_else_leads_soon_after_every_kill(market: Market, replicas: StartReplica) -> None:
    leader, standby = replicas("assay-a"), replicas("assay-b")
    leader.start_and_lead()
    standby.start()
    market.apply_all()
    took_s: list[float] = []
    for _ in range(TAKEOVERS):
        wait_until(lambda one=standby: one.health("/readyz")[0] == 200, "the standby is up")
        market.record.subnets.idle(1.5)  # the standby has to have seen the lease that it will find unchanged
        killed_s = time.monotonic()
        leader.kill()
        standby.wait_leading()
        took_s.append(time.monotonic() - killed_s)
        leader.start()
        leader, standby = standby, leader
    took_s.sort()
    p50, p99 = took_s[len(took_s) // 2], took_s[min(len(took_s) - 1, int(len(took_s) * 0.99))]
    print(f"{TAKEOVERS} takeovers: p50 {p50:.1f} s, p99 {p99:.1f} s, longest {took_s[-1]:.1f} s")
    assert p99 < TAKEOVER_S
    market.wait_committed(market.committed() + 1)
    assert market.record.check_epochs("market") > 1
    assert {len(uids) for uids in market.record.job_uids().values()} == {1}
