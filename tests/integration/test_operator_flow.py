"""The whole way: what users apply becomes epochs, assignments, Jobs, reports, and weights in three statuses.

And the way back: whoever reads the objects of a commit recomputes it to the last digit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from assay.api import ModelDeployment, NamespacedName, ScoreReport, Subnet, ValidatorPolicy, to_wire
from assay.consensus import EpochState, run_epoch
from assay.desired.bonds import DATA_KEY, join, sha256_hex
from assay.planning import subnet as planner
from assay.planning.commit import Ballot, engine_state
from assay.planning.membership import Roster
from assay.planning.reports import judge
from assay.planning.subnet_draft import Snapshot, StoredChunk
from audit import AuditLog
from installed_chart import OPERATOR, Installation
from live_market import Market, condition, running_market
from live_watch import Object
from operator_process import OperatorProcess
from operator_stage import making_replicas, stage

__all__ = ["stage"]
pytestmark = pytest.mark.cluster

CHEAT = 655
"""A hundredth of the full weight."""
EPOCHS = 3


@dataclass(frozen=True)
class Run:
    """A market after some epochs: an honest miner, one that earns a hundredth, one in between."""

    market: Market
    operator: OperatorProcess
    audit: AuditLog


@pytest.fixture(scope="module")
def run(stage: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    audit = AuditLog(stage.cluster.audit_log_path)
    with making_replicas(stage, tmp_path_factory.mktemp("flow")) as make, running_market(stage) as market:
        operator = make("assay-0")
        operator.start_and_lead()
        market.scorers.weights |= {"market-m1": CHEAT, "market-m2": 40000}
        market.apply_all(miners=3, validators=3)
        market.wait_committed(EPOCHS)
        yield Run(market, operator, audit)


def test_what_users_apply_becomes_weights_in_the_statuses_of_all_three_kinds(run: Run) -> None:
    market = run.market
    _, subnet = around(market, EPOCHS)
    last = subnet["status"]
    rows = {row["name"]: row for row in last["miners"]}

    assert market.record.check_epochs("market") >= EPOCHS
    assert [commit.received for commit in market.record.commits("market")][:EPOCHS] == [3] * EPOCHS
    assert market.scorers.refused == []
    assert {row["uid"] for row in (*last["miners"], *last["validators"])} == set(range(6)), "one numbering for all"
    earned = [rows[f"market-m{number}"]["incentive"] for number in (0, 2, 1)]
    assert earned[0] > earned[1] > 10 * earned[2] > 0, "each what it is worth"
    assert earned[0] > 50 * earned[2], "the cheat its hundredth"
    assert rows["market-m0"]["score"] == "0.999871"
    paid = sum(row["emission"] for row in (*last["miners"], *last["validators"]))
    per_epoch = 1_000_000_000
    assert paid == per_epoch - per_epoch * 11796 // 65535, "nothing is lost and nothing created"
    assert [one["status"] for one in last["conditions"]] == ["True"] * 5

    miner = shown(market, "market-m0", EPOCHS)
    validator = shown(market, "market-v0", EPOCHS)
    row = {one["name"]: one for one in last["validators"]}["market-v0"]
    assert miner["status"]["consensus"]["incentive"] == rows["market-m0"]["incentive"]
    assert miner["status"]["membership"]["uid"] == rows["market-m0"]["uid"]
    assert {(condition(miner, one) or {})["status"] for one in ("Ready", "Registered", "Scored")} == {"True"}
    assert validator["status"]["consensus"]["trust"] == row["trust"] > 60000
    assert validator["status"]["membership"]["stake"] == 1000
    assert set(run.audit.creations(OPERATOR, "jobs", market.namespace).values()) == {1}, "one Job a validator and epoch"
    assert list(run.operator.lines("error")) == []


def test_whoever_reads_the_objects_of_a_commit_recomputes_it_to_the_last_digit(run: Run) -> None:
    for number in range(2, EPOCHS + 1):
        before, after = around(run.market, number)
        committed = Subnet.parse(after).status.committed
        assert committed is not None

        plan = planner.plan(as_it_was(run.market, before), datetime.fromisoformat(committed.committed_at))
        recomputed = Subnet.parse({**before, "status": plan.status}).status

        assert recomputed.committed == committed, "digests, counts and bonds of the commit"
        assert to_wire(recomputed)["miners"] == after["status"]["miners"]
        assert to_wire(recomputed)["validators"] == after["status"]["validators"]
        for bond in committed.bonds:
            events = run.market.record.config_maps.events()
            stored = next(obj for _, obj in events if obj["metadata"]["name"] == bond.name)
            assert sha256_hex(stored["data"][DATA_KEY]) == bond.sha256, "a chunk is what its name says"


def test_the_engine_alone_gives_the_weights_in_the_status(run: Run) -> None:
    before, after = around(run.market, EPOCHS)
    seen, subnet = as_it_was(run.market, before), Subnet.parse(before)
    roster = Roster(subnet.status.miners, subnet.status.validators)
    given = {name: one.status.assignment.digest for name, one in seen.policies.items() if one.status.assignment}
    reports = judge(subnet, roster, seen.reports.values(), given).accepted
    assert subnet.status.committed is not None
    bonds = join([seen.chunks[chunk.name].text for chunk in subnet.status.committed.bonds])
    ballots = {uid: Ballot(EPOCHS, report) for uid, report in reports.items()}

    result = run_epoch(EpochState.from_json(engine_state(subnet, roster, ballots, bonds, EPOCHS)))

    for row in after["status"]["miners"]:
        assert (row["weight"], row["incentive"]) == (
            int(result.consensus_u16[row["uid"]]),
            int(result.incentive_u16[row["uid"]]),
        )


def shown(market: Market, name: str, epoch: int) -> Object:
    """The miner or validator as it showed the commit of an epoch."""
    watch = market.record.policies if "-v" in name else market.record.deployments

    def found() -> Object | None:
        states = [obj for _, obj in watch.events() if obj["metadata"]["name"] == name]
        return next((one for one in states if one.get("status", {}).get("consensus", {}).get("epoch") == epoch), None)

    watch.wait(found, f"{name} shows the commit of epoch {epoch}")
    result = found()
    assert result is not None
    return result


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
