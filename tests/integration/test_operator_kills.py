"""SIGKILL at any moment of an epoch: none is lost, none is committed twice, no Job is made twice, no pod restarts."""

from __future__ import annotations

from pathlib import Path

import pytest

import kills
from audit import AuditLog
from installed_chart import Installation
from killing_proxy import KillingProxy
from live_market import Market
from operator_process import OperatorProcess, operator_kubeconfig
from operator_stage import audit, market, stage

__all__ = ["audit", "market", "stage"]
pytestmark = pytest.mark.cluster

KILLS = 20
SEED = 20261124


def test_killed_at_twenty_moments_it_loses_and_repeats_nothing(
    stage: Installation, market: Market, audit: AuditLog, tmp_path: Path
) -> None:
    direct = operator_kubeconfig(stage, tmp_path)
    with KillingProxy(direct) as proxy:
        operator = OperatorProcess(operator_kubeconfig(stage, tmp_path, through=proxy.address), tmp_path)
        try:
            operator.start_and_lead()
            kills.open_market(market)
            pods = market.record.pod_uids()
            took_s = kills.campaign(kills.plan(KILLS, SEED), market, operator, proxy)
            print(f"{KILLS} kills in {took_s:.0f} s: {kills.check(market, audit, pods)}")
            print("\n".join(sorted(proxy.struck)))
            assert {line["message"] for line in operator.lines("error")} == set()
        finally:
            operator.close()
