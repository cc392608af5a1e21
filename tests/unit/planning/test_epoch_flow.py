"""A subnet through its epochs, planned in memory."""

from dataclasses import replace

import pytest

from assay.planning.plan import Create, Delete
from assay.planning.reports import Rejection
from market import NOON, World, miner, policy, subnet

HONEST = {0: 60000, 1: 60000, 2: 0}


def rows(world: World) -> dict[str, tuple[int, int]]:
    return {row.name: (row.weight, row.incentive) for row in world.subnet.status.miners}


def condition(world: World, type_: str) -> tuple[str, str]:
    found = next(one for one in world.subnet.status.conditions if one.type == type_)
    return found.status, found.reason


def test_the_first_epoch_opens_with_the_first_miner_and_validator() -> None:
    world = World.of()
    world.settle()
    epoch = world.subnet.status.epoch
    assert epoch is not None
    assert (epoch.number, epoch.phase) == (1, "Scoring")
    assert (epoch.started_at, epoch.scoring_deadline, epoch.ends_at) == (
        "2026-11-24T12:00:00Z",
        "2026-11-24T12:00:40Z",
        "2026-11-24T12:01:00Z",
    )
    assert sorted(world.jobs) == sorted(world.assignments)
    assert len(world.jobs) == 3


def test_no_epoch_opens_while_there_is_nobody_to_score() -> None:
    world = World.of(miners=0)
    world.settle()
    assert world.subnet.status.epoch is None
    assert condition(world, "MinersReady") == ("False", "NoMiners")
    assert condition(world, "EpochAdvancing") == ("False", "WaitingForMembers")


def test_an_epoch_is_committed_as_soon_as_all_reports_are_in() -> None:
    world = World.of()
    world.settle()
    for name in world.policies:
        world.file(name, HONEST)
    world.settle()
    committed = world.subnet.status.committed
    assert committed is not None
    assert (committed.number, committed.reports.received, committed.reports.expected) == (1, 3, 3)
    assert [event.reason for event in world.events] == ["EpochCommitted"]
    assert rows(world)["m-0"][1] > 0
    assert rows(world)["m-2"] == (0, 0)


def test_an_epoch_goes_on_without_a_validator_that_is_silent() -> None:
    world = World.of()
    world.settle()
    world.file("val-a", HONEST)
    world.file("val-b", HONEST)
    world.settle()
    assert world.subnet.status.committed is None
    world.pass_time(40)
    world.settle()
    committed = world.subnet.status.committed
    assert committed is not None
    assert (committed.reports.received, committed.reports.expected) == (2, 3)
    assert rows(world)["m-0"] == rows(world)["m-1"]


def test_a_validator_that_joined_after_the_opening_is_neither_awaited_nor_expected() -> None:
    world = World.of()
    late = world.policies.pop("val-c")
    world.settle()
    world.policies["val-c"] = late
    world.settle()
    world.file("val-a", HONEST)
    world.file("val-b", HONEST)
    world.settle()
    committed = world.subnet.status.committed
    assert committed is not None
    assert (committed.number, committed.reports.received, committed.reports.expected) == (1, 2, 2)


def test_a_report_of_a_failure_gives_no_weights_and_holds_nobody_up() -> None:
    world = World.of()
    world.settle()
    for name, weights in {"val-a": HONEST, "val-b": HONEST, "val-c": None}.items():
        world.file(name, weights)
    world.settle()
    committed = world.subnet.status.committed
    assert committed is not None
    assert committed.reports.received == 3
    assert next(row for row in world.subnet.status.validators if row.name == "val-c").last_report_epoch is None
    world.step_validator("val-c")
    found = {one.type: one.reason for one in world.policies["val-c"].status.conditions}
    assert found["Scoring"] == "ReportedFailure"


def test_the_next_epoch_begins_where_the_last_one_ended() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    world.pass_time(1.4)
    world.settle()
    epoch = world.subnet.status.epoch
    assert epoch is not None
    assert (epoch.number, epoch.started_at) == (2, "2026-11-24T12:01:00Z")


def test_an_operator_that_was_away_finds_the_epoch_it_left_and_skips_no_number() -> None:
    world = World.of()
    world.settle()
    world.file("val-a", HONEST)
    world.pass_time(3600)
    world.settle()
    assert world.subnet.status.committed is not None
    assert world.subnet.status.committed.number == 1
    epoch = world.subnet.status.epoch
    assert epoch is not None
    assert (epoch.number, epoch.started_at) == (2, "2026-11-24T13:00:00Z")


def test_a_suspended_subnet_finishes_its_epoch_and_opens_no_other() -> None:
    world = World.of()
    world.settle()
    world.subnet = world.subnet.model_copy(update={"spec": world.subnet.spec.model_copy(update={"suspend": True})})
    world.pass_time(120)
    world.settle()
    assert world.subnet.status.committed is not None
    assert world.subnet.status.epoch is not None
    assert world.subnet.status.epoch.number == 1
    assert condition(world, "EpochAdvancing") == ("False", "Suspended")
    assert world.plan().requeue_after_s is None


def test_a_converged_plan_asks_for_nothing() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    world.settle()
    again = world.plan()
    assert again.effects == ()
    assert type(world.subnet.status).model_validate(again.status) == world.subnet.status


def test_all_units_of_an_epoch_are_paid_out() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    status = world.subnet.status
    cut = 1_000_000_000 * 11_796 // 65_535
    assert sum(row.emission for row in (*status.miners, *status.validators)) == 1_000_000_000 - cut


def test_bonds_are_written_before_the_commit_that_refers_to_them() -> None:
    world = World.of()
    world.settle()
    for name in world.policies:
        world.file(name, HONEST)
    done = world.plan()
    created = [effect.manifest["metadata"]["name"] for effect in done.effects if isinstance(effect, Create)]
    assert done.status is not None
    assert [chunk["name"] for chunk in done.status["committed"]["bonds"]] == created


def test_the_same_reports_give_the_same_digests_whenever_they_are_counted() -> None:
    first, second = World.of(), World.of()
    for world, delay_s in ((first, 0), (second, 7)):
        world.settle()
        for name in world.policies:
            world.file(name, HONEST)
        world.pass_time(delay_s)
        world.settle()
    one, other = first.subnet.status.committed, second.subnet.status.committed
    assert one is not None
    assert other is not None
    assert one.state_digest == other.state_digest
    assert [chunk.sha256 for chunk in one.bonds] == [chunk.sha256 for chunk in other.bonds]


@pytest.mark.parametrize("epochs", [1, 3])
def test_bonds_that_were_deleted_are_recomputed_to_the_byte(epochs: int) -> None:
    world = World.of()
    for number in range(epochs):
        world.run_epoch({name: {0: 60000, 1: 50000 + number, 2: 100} for name in world.policies})
    committed = world.subnet.status.committed
    assert committed is not None
    names = [chunk.name for chunk in committed.bonds]
    texts = {name: world.chunks.pop(name).text for name in names}
    world.subnet = world.subnet.model_copy(update={"spec": world.subnet.spec.model_copy(update={"suspend": True})})
    world.settle()
    assert {name: world.chunks[name].text for name in names} == texts
    assert condition(world, "ConsensusFresh")[0] == "True"


def test_bonds_that_were_altered_are_replaced() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    name = next(iter(world.chunks))
    good = world.chunks[name]
    world.chunks[name] = replace(good, text=good.text.replace('"epoch":1', '"epoch":9'))
    done = world.plan()
    assert [type(effect) for effect in done.effects if isinstance(effect, Create | Delete)] == [Delete, Create]
    world.settle()
    assert world.chunks[name].text == good.text


def test_bonds_that_cannot_be_recomputed_are_reported_lost_and_the_subnet_goes_on() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    world.chunks.clear()
    world.reports.clear()
    world.step()
    assert condition(world, "ConsensusFresh") == ("False", "BondsLost")
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    assert world.subnet.status.committed is not None
    assert world.subnet.status.committed.number == 2


def test_bonds_older_than_the_history_are_collected_and_those_of_the_last_two_commits_never() -> None:
    world = World.of()
    for _ in range(6):
        world.run_epoch(dict.fromkeys(world.policies, HONEST))
    world.settle()
    assert {chunk.epoch for chunk in world.chunks.values()} == {4, 5, 6}
    assert {r.spec.epoch for r in world.reports.values()} == {4, 5, 6}
    assert {job.epoch for job in world.jobs.values()} == {4, 5, 6, 7}


def test_a_validator_without_a_report_keeps_its_last_vote_until_the_activity_cutoff() -> None:
    world = World.of(consensus={"activityCutoffEpochs": 2})
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    trusts = []
    for _ in range(4):
        world.run_epoch({name: HONEST for name in world.policies if name != "val-c"})
        trusts.append(next(row.trust for row in world.subnet.status.validators if row.name == "val-c"))
    assert [trust > 0 for trust in trusts] == [True, True, False, False]


def test_a_recreated_miner_is_a_new_miner() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, HONEST))
    world.miners[0] = miner("m-0", uid="another", created="2026-11-24T12:00:30Z")
    world.step()
    row = next(row for row in world.subnet.status.miners if row.name == "m-0")
    assert (row.object_uid, row.incentive, row.registered_epoch) == ("another", 0, 2)


def test_a_lazy_validator_earns_less_for_its_stake_than_an_honest_one() -> None:
    world = World.of(stakes={"val-a": 1000, "val-b": 1000, "val-c": 1000, "val-lazy": 1000})
    votes = {name: HONEST for name in world.policies if name != "val-lazy"} | {"val-lazy": dict.fromkeys(HONEST, 65535)}
    for _ in range(3):
        world.run_epoch(votes)
    dividends = {row.name: row.dividends for row in world.subnet.status.validators}
    assert 0 < dividends.pop("val-lazy") < min(dividends.values())


FOREIGN = {
    "a report for a subnet of the same name that is no more": (
        {"subnet": {"namespace": "demo", "name": "embeddings", "uid": "gone"}},
        Rejection.SUBNET_REPLACED,
    ),
    "a report for an epoch that has not opened": ({"epoch": 2}, Rejection.EPOCH_NOT_OPEN),
    "a report by a policy that was recreated": (
        {"validator": {"name": "val-a", "uid": "gone"}},
        Rejection.VALIDATOR_REPLACED,
    ),
    "a report by nobody on the list": ({"validator": {"name": "stranger", "uid": "u"}}, Rejection.NOT_A_VALIDATOR),
    "a report that answers another assignment": (
        {"assignmentDigest": "sha256:" + "0" * 64},
        Rejection.WRONG_ASSIGNMENT,
    ),
    "a report that scores a UID nobody was assigned": (
        {"scores": [{"uid": 77, "weight": 1}]},
        Rejection.UNKNOWN_MINER,
    ),
}


@pytest.mark.parametrize(("change", "reason"), FOREIGN.values(), ids=FOREIGN.keys())
def test_a_report_that_does_not_count_is_rejected_by_name(change: dict[str, object], reason: str) -> None:
    world = World.of()
    world.settle()
    filed = world.file("val-a", HONEST)
    spec = type(filed.spec).model_validate({**filed.spec.model_dump(by_alias=True), **change})
    world.reports[filed.metadata.name] = filed.model_copy(update={"spec": spec})
    world.step()
    assert [one.reason for one in world.subnet.status.rejected_reports] == [reason]
    assert [event.reason for event in world.events] == ["ReportRejected"]
    world.step()
    assert len(world.events) == 1


def test_a_report_under_another_name_is_rejected() -> None:
    world = World.of()
    world.settle()
    filed = world.file("val-a", HONEST)
    wrong = filed.metadata.model_copy(update={"name": "val-a-1-ffffffff"})
    world.reports = {wrong.name: filed.model_copy(update={"metadata": wrong})}
    world.step()
    assert [one.reason for one in world.subnet.status.rejected_reports] == [Rejection.WRONG_NAME]


@pytest.mark.parametrize(
    ("stakes", "limit", "reason"),
    [({"val-a": 0, "val-b": 1}, 64, Rejection.NO_STAKE), ({"val-a": 1, "val-b": 2}, 1, Rejection.NO_PERMIT)],
    ids=["a validator without stake", "a validator beyond the permitted number"],
)
def test_a_report_without_a_right_to_vote_is_rejected(stakes: dict[str, int], limit: int, reason: str) -> None:
    world = World.of(stakes=stakes, consensus={"maxValidators": limit})
    world.settle()
    filed = world.file("val-b", HONEST)
    author = policy("val-a")
    identity = filed.spec.validator.model_copy(update={"name": "val-a", "uid": author.metadata.uid})
    meta = filed.metadata.model_copy(update={"namespace": "val-a"})
    world.reports = {
        "x": filed.model_copy(update={"metadata": meta, "spec": filed.spec.model_copy(update={"validator": identity})})
    }
    world.step()
    assert [one.reason for one in world.subnet.status.rejected_reports] == [reason]


def test_a_report_after_the_commit_is_rejected_as_late() -> None:
    world = World.of()
    world.settle()
    world.file("val-a", HONEST)
    world.pass_time(41)
    world.settle()
    world.pass_time(5)
    world.file("val-b", HONEST)
    world.step()
    assert [one.reason for one in world.subnet.status.rejected_reports] == [Rejection.EPOCH_CLOSED]


def test_missing_validators_are_named_with_what_is_wrong() -> None:
    world = World.of()
    del world.policies["val-b"]
    world.policies["val-c"] = policy("val-c", subnetRef={"namespace": "demo", "name": "other"})
    world.step()
    found = next(one for one in world.subnet.status.conditions if one.type == "ValidatorsReady")
    assert (found.status, found.reason) == ("False", "ValidatorMissing")
    assert "no such ValidatorPolicy: val-b/val-b" in found.message
    assert "names another subnet: val-c/val-c" in found.message


def test_conditions_keep_their_transition_time_while_they_do_not_flip() -> None:
    world = World.of()
    world.settle()
    before = {one.type: one.last_transition_time for one in world.subnet.status.conditions}
    world.pass_time(10)
    world.step()
    assert {one.type: one.last_transition_time for one in world.subnet.status.conditions} == before
    assert before["Ready"] == NOON.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_subnet_without_validators_says_what_to_do() -> None:
    world = World(subnet(stakes={}), [miner("m-0")], {})
    world.step()
    assert condition(world, "ValidatorsReady") == ("False", "NoValidators")
