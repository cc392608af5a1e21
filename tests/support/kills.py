"""Killing the operator again and again while a market runs, and what has to hold of it all.

Owns the plan of the kills, drawn from a seed: every other one strikes at a moment drawn evenly from an epoch's length,
the others at an exact write, before or after the server carried it out. Most of an epoch is waiting, and what can go
wrong lies between the writes.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from audit import AuditLog
from installed_chart import OPERATOR
from killing_proxy import KillingProxy
from live_market import EPOCH_S, Market
from operator_process import OperatorProcess

SUBNETS = ("one", "two")
WRITES = 20
"""About as many writes as an epoch of a subnet takes, from its opening to the mirrors of its commit."""


@dataclass(frozen=True)
class Kill:
    """One kill: `at_s` into an epoch of the first subnet, or at the `write`th write from now."""

    at_s: float | None = None
    write: int = 0
    is_before: bool = True

    def __str__(self) -> str:
        if self.at_s is not None:
            return f"{self.at_s:.2f} s into an epoch"
        return f"{'before' if self.is_before else 'after'} write {self.write}"


def plan(count: int, seed: int) -> list[Kill]:
    """The kills of a campaign, always the same for a seed."""
    draw = random.Random(seed)  # noqa: S311 - to be drawn again, not to be kept secret
    return [
        Kill(at_s=draw.uniform(0, EPOCH_S))
        if number % 2 == 0
        else Kill(write=draw.randint(1, WRITES), is_before=draw.random() < 0.5)
        for number in range(count)
    ]


def strike(kill: Kill, market: Market, operator: OperatorProcess, proxy: KillingProxy) -> None:
    """Carry out one kill, and start the operator again as the kubelet would."""
    if kill.at_s is not None:
        time_left = (kill.at_s - epoch_age_s(market)) % EPOCH_S
        market.record.subnets.idle(time_left)
        operator.kill()
    else:
        operator.wait_leading()
        proxy.arm(kill.write, operator.kill, is_before=kill.is_before)
        assert proxy.wait_struck(6 * EPOCH_S), (
            f"no {kill.write} writes in {6 * EPOCH_S} s: does the market stand still?"
        )
    operator.start()


def epoch_age_s(market: Market) -> float:
    """How long ago the first subnet's epoch began."""
    started = datetime.fromisoformat(market.subnet(SUBNETS[0])["status"]["epoch"]["startedAt"])
    return (datetime.now(UTC) - started).total_seconds()


def open_market(market: Market) -> None:
    """Two subnets whose epochs lie half an epoch apart, so that there is always one at work."""
    market.apply_all(SUBNETS[0])
    market.wait_committed(1, SUBNETS[0])
    market.record.subnets.idle(max(0.0, EPOCH_S / 2 - epoch_age_s(market)))
    market.apply_all(SUBNETS[1])
    market.wait_committed(1, SUBNETS[1])


def campaign(kills: list[Kill], market: Market, operator: OperatorProcess, proxy: KillingProxy) -> float:
    """All kills, one after the other, then an epoch in peace. Returns how long the kills took, in seconds."""
    started_s = time.monotonic()
    for kill in kills:
        strike(kill, market, operator, proxy)
    took_s = time.monotonic() - started_s
    operator.wait_leading()
    for name in SUBNETS:
        market.wait_committed(market.committed(name) + 2, name)
    return took_s


def check(market: Market, audit: AuditLog, pods: set[str]) -> str:
    """What has to hold of the whole record. Returns a line that tells what there was."""
    record, epochs, full = market.record, Counter[str](), 0
    assert [watch.relists for watch in record.watches] == [0] * len(record.watches), "the record has no gap"
    for name in SUBNETS:
        epochs[name] = record.check_epochs(name)
        full += sum(commit.received == 2 for commit in record.commits(name))
        last = record.commits(name)[-1]
        assert last.received == 2, f"{name}: the last epoch, in peace, has all its reports"
    assert {len(uids) for uids in record.job_uids().values()} == {1}, "no Job was made twice"
    assert set(audit.creations(OPERATOR, "jobs", market.namespace).values()) == {1}, "the server says so too"
    assert record.pod_uids() == pods, "no serving pod was replaced"
    assert {number for numbers in record.generations().values() for number in numbers} == {1}, "nothing rolled out"
    reasons = Counter(
        (one["epoch"], one["validator"], one["reason"])
        for _, obj in record.subnets.events()
        for one in obj.get("status", {}).get("rejectedReports") or ()
    )
    late = {reason for _, _, reason in reasons}
    assert late <= {"EpochClosed"}, f"an honest report was turned away: {reasons}"
    assert market.scorers.refused == [], "admission took every report"
    return f"{sum(epochs.values())} epochs, {full} with all reports, {len(reasons)} reports late"
