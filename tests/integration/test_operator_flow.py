"""The whole way: what users apply becomes epochs, assignments, Jobs, reports, and weights in three statuses.

And the way back: whoever reads the objects of a commit recomputes it to the last digit.
"""

from __future__ import annotations

from datetime import datetime

import pytest

from assay.api import ModelDeployment, NamespacedName, ScoreReport, Subnet, ValidatorPolicy, to_wire
from assay.consensus import EpochState, run_epoch
from assay.desired.bonds import DATA_KEY, NO_BONDS, join, sha256_hex
from assay.planning import subnet as planner
from assay.planning.commit import engine_state
from assay.planning.membership import Roster
from assay.planning.subnet_draft import Snapshot, StoredChunk
from audit import AuditLog
from installed_chart import OPERATOR
from live_market import Market, condition
from live_watch import Object
from operator_process import OperatorProcess
from operator_stage import audit, market, operator, replicas, stage

__all__ = ["audit", "market", "operator", "replicas", "stage"]
pytestmark = pytest.mark.cluster

CHEAT = 655
"""A hundredth of the full weight."""


def test_what_users_apply_becomes_weights_in_the_statuses_of_all_three_kinds(
    market: Market, operator: OperatorProcess, audit: AuditLog
) -> None:
    market.scorers.weights["market-m1"] = CHEAT
    market.apply_all(miners=3, validators=3)
    market.wait_committed(3)
    last = market.subnet()["status"]
    rows = {row["name"]: row for row in last["miners"]}

    assert market.record.check_epochs("market") >= 3
    # The first epoch opens with the first miner and validator; who comes later scores from the next one on.
    assert [commit.received for commit in market.record.commits("market")][1:3] == [3, 3], "every report counted"
    assert market.scorers.refused == []
    assert {row["uid"] for row in (*last["miners"], *last["validators"])} == set(range(6)), "one numbering for all"
    assert rows["market-m0"]["incentive"] > 50 * rows["market-m1"]["incentive"] > 0, "the cheat earns its hundredth"
    assert rows["market-m0"]["score"] == "0.999871"
    paid = sum(row["emission"] for row in (*last["miners"], *last["validators"]))
    per_epoch = 1_000_000_000
    assert paid == per_epoch - per_epoch * 11796 // 65535, "nothing is lost and nothing created"
    assert [one["status"] for one in last["conditions"]] == ["True"] * 5

    def mirrored() -> bool:
        miner = market.record.deployments.get("market-m0")["status"]
        validator = market.record.policies.get("market-v0")["status"]
        return miner["consensus"]["epoch"] >= 3 and validator["consensus"]["epoch"] >= 3

    market.record.policies.wait(mirrored, "miner and validator show the commit")
    row = {one["name"]: one for one in market.subnet()["status"]["validators"]}["market-v0"]
    miner = market.record.deployments.get("market-m0")
    validator = market.record.policies.get("market-v0")
    assert miner["status"]["consensus"]["incentive"] == rows["market-m0"]["incentive"]
    assert miner["status"]["membership"]["uid"] == rows["market-m0"]["uid"]
    assert {condition(miner, one)["status"] for one in ("Ready", "Registered", "Scored")} == {"True"}
    assert validator["status"]["consensus"]["trust"] == row["trust"] > 60000
    assert validator["status"]["membership"]["stake"] == 1000
    jobs = audit.creations(OPERATOR, "jobs", market.namespace)
    assert set(jobs.values()) == {1}, "one Job a validator and epoch"
    assert list(operator.lines("error")) == []


def test_whoever_reads_the_objects_of_a_commit_recomputes_it_to_the_last_digit(
    market: Market, operator: OperatorProcess
) -> None:
    market.scorers.weights |= {"market-m1": CHEAT, "market-m2": 40000}
    market.apply_all(miners=3, validators=2)
    market.wait_committed(3)
    for number in (2, 3):
        before, after = around(market, number)
        committed = Subnet.parse(after).status.committed
        assert committed is not None

        plan = planner.plan(as_it_was(market, before), datetime.fromisoformat(committed.committed_at))
        recomputed = Subnet.parse({**before, "status": plan.status}).status

        assert recomputed.committed == committed, "digests, counts and bonds of the commit"
        assert to_wire(recomputed)["miners"] == after["status"]["miners"]
        assert to_wire(recomputed)["validators"] == after["status"]["validators"]
        for bond in committed.bonds:
            stored = next(obj for _, obj in market.record.config_maps.events() if obj["metadata"]["name"] == bond.name)
            assert sha256_hex(stored["data"][DATA_KEY]) == bond.sha256, "a chunk is what its name says"


def test_the_engine_alone_gives_the_weights_in_the_status(market: Market, operator: OperatorProcess) -> None:
    market.scorers.weights |= {"market-m1": CHEAT}
    market.apply_all()
    market.wait_committed(2)
    before, after = around(market, 2)
    seen, subnet = as_it_was(market, before), Subnet.parse(before)
    roster = Roster(subnet.status.miners, subnet.status.validators)
    accepted = planner.judge(
        subnet,
        roster,
        seen.reports.values(),
        {name: one.status.assignment.digest for name, one in seen.policies.items() if one.status.assignment},
    )
    assert subnet.status.committed is not None
    bonds = join([seen.chunks[chunk.name].text for chunk in subnet.status.committed.bonds]) or NO_BONDS
    from assay.planning.commit import Ballot

    ballots = {uid: Ballot(2, report) for uid, report in accepted.accepted.items()}

    result = run_epoch(EpochState.from_json(engine_state(subnet, roster, ballots, bonds, 2)))

    for row in after["status"]["miners"]:
        assert (row["weight"], row["incentive"]) == (
            int(result.consensus_u16[row["uid"]]),
            int(result.incentive_u16[row["uid"]]),
        )


def around(market: Market, number: int) -> tuple[Object, Object]:
    """The subnet as it was read for the commit of an epoch, and as the commit left it."""
    states = [obj for _, obj in market.record.subnets.events()]
    after = next(index for index, obj in enumerate(states) if committed_number(obj) == number)
    return states[after - 1], states[after]


def committed_number(subnet: Object) -> int:
    return int((subnet.get("status", {}).get("committed") or {}).get("number", 0))


def as_it_was(market: Market, subnet: Object) -> Snapshot:
    """All that counted for the open epoch of a subnet, gathered from the cluster's objects by somebody else."""
    parsed = Subnet.parse(subnet)
    assert parsed.status.epoch is not None
    epoch = parsed.status.epoch.number
    record = market.record
    assigned: dict[NamespacedName, ValidatorPolicy] = {}
    for _, obj in record.policies.events():
        policy = ValidatorPolicy.parse(obj)
        if policy.status.assignment is not None and policy.status.assignment.epoch == epoch:
            assigned[policy.metadata.namespaced_name] = policy
    reports = [ScoreReport.parse(obj) for kind, obj in record.reports.events() if kind == "ADDED"]
    chunks = [obj for kind, obj in record.config_maps.events() if kind == "ADDED" and DATA_KEY in obj.get("data", {})]
    return Snapshot(
        subnet=parsed,
        deployments=tuple(ModelDeployment.parse(obj) for obj in record.deployments.objects()),
        policies=assigned,
        namespace_labels={},
        reports={str(one.metadata.namespaced_name): one for one in reports if one.spec.epoch <= epoch},
        chunks={
            obj["metadata"]["name"]: StoredChunk(
                obj["metadata"]["name"],
                obj["metadata"]["uid"],
                int(obj["metadata"]["labels"]["assay.dev/epoch"]),
                obj["data"][DATA_KEY],
            )
            for obj in chunks
        },
    )
