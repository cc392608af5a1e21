"""Who holds which UID."""

from hypothesis import given, settings
from hypothesis import strategies as st

from assay.api import NamespacedName
from assay.planning.membership import Candidates, Roster, admits, candidates, enrolled, pruned
from market import World, miner, policy, subnet


def roster(world: World, epoch: int = 1) -> tuple[Candidates, Roster]:
    present = candidates(
        world.subnet,
        world.miners,
        {NamespacedName(name, name): one for name, one in world.policies.items()},
        world.namespace_labels,
    )
    return present, enrolled(world.subnet, present, next_epoch=epoch)


def held(world: World) -> dict[str, int]:
    return {row.name: row.uid for row in world.subnet.status.miners + world.subnet.status.validators}


def test_uids_are_given_in_order_of_arrival_over_miners_and_validators() -> None:
    world = World(
        subnet(stakes={"v": 1}),
        [miner("late", created="2026-11-24T11:00:02Z"), miner("early", created="2026-11-24T11:00:00Z")],
        {"v": policy("v", meta={"creationTimestamp": "2026-11-24T11:00:01Z"})},
    )
    world.step()
    assert held(world) == {"early": 0, "v": 1, "late": 2}


def test_a_uid_stays_with_its_holder_and_that_of_one_who_left_is_not_given_out_while_fresh_ones_are_left() -> None:
    world = World.of()
    world.run_epoch({})
    before = held(world)
    world.miners = [one for one in world.miners if one.metadata.name != "m-1"]
    world.miners.append(miner("m-9", created="2026-11-24T12:30:00Z"))
    world.step()
    after = held(world)
    assert {name: uid for name, uid in after.items() if name in before} == {
        name: uid for name, uid in before.items() if name != "m-1"
    }
    assert after["m-9"] == 1 + max(before.values())


def test_a_full_subnet_takes_nobody_more_between_epochs() -> None:
    world = World.of(miners=3, members={"maxMiners": 2, "allowedNamespaces": {"from": "All"}})
    world.step()
    assert [row.name for row in world.subnet.status.miners] == ["m-0", "m-1"]


def test_at_an_opening_the_miner_with_least_emission_makes_room_for_who_waits_longest() -> None:
    world = World.of(miners=2, members={"maxMiners": 2, "immunityEpochs": 0, "allowedNamespaces": {"from": "All"}})
    world.run_epoch({name: {0: 60000, 1: 10} for name in world.policies})
    world.miners.append(miner("m-2", created="2026-11-24T12:00:10Z"))
    world.settle()
    rows = {row.name: (row.uid, row.registered_epoch, row.emission) for row in world.subnet.status.miners}
    assert rows["m-2"] == (1, 2, 0)
    assert "m-1" not in rows


def test_an_immune_miner_stays_while_another_can_go() -> None:
    world = World.of(miners=2, members={"maxMiners": 2, "immunityEpochs": 1, "allowedNamespaces": {"from": "All"}})
    world.step()
    veteran, novice = world.subnet.status.miners
    status = world.subnet.status.model_copy(
        update={
            "miners": (
                veteran.model_copy(update={"emission": 100}),
                novice.model_copy(update={"registered_epoch": 4, "immune_until_epoch": 9}),
            )
        }
    )
    world.subnet = world.subnet.model_copy(update={"status": status})
    world.miners.append(miner("m-2"))
    present, before = roster(world, 5)
    after = pruned(world.subnet, before, present, next_epoch=5)
    assert sorted(row.name for row in after.miners) == ["m-1", "m-2"]


def test_stake_is_the_owners_and_permits_go_to_the_highest_of_equal_stakes_the_lower_uid_loses() -> None:
    world = World.of(stakes={"val-a": 5, "val-b": 7, "val-c": 5, "val-d": 0}, consensus={"maxValidators": 2})
    world.step()
    assert {row.name: (row.stake, row.permit) for row in world.subnet.status.validators} == {
        "val-a": (5, False),
        "val-b": (7, True),
        "val-c": (5, True),
        "val-d": (0, False),
    }


def test_a_deployment_of_a_foreign_namespace_is_not_let_in() -> None:
    same = subnet(members={"allowedNamespaces": {"from": "Same"}})
    chosen = subnet(
        members={"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"market": "open"}}}}
    )
    assert admits(same, "demo", {})
    assert not admits(same, "elsewhere", {})
    assert admits(chosen, "elsewhere", {"market": "open"})
    assert not admits(chosen, "demo", {})


def test_a_miner_that_is_being_deleted_is_struck_off_once_no_open_epoch_scores_it() -> None:
    world = World.of()
    world.settle()
    world.miners[0] = miner("m-0", deletionTimestamp="2026-11-24T12:00:00Z")
    world.step()
    assert [row.name for row in world.subnet.status.miners] == ["m-0", "m-1", "m-2"]
    world.run_epoch({})
    world.step()
    assert [row.name for row in world.subnet.status.miners] == ["m-1", "m-2"]


def test_a_miner_that_leaves_in_mid_epoch_does_not_void_the_reports_that_speak_of_it() -> None:
    world = World.of()
    world.settle()
    world.miners = world.miners[1:]
    world.settle()
    for name in world.policies:
        world.file(name, {0: 60000, 1: 60000, 2: 60000})
    world.settle()
    status = world.subnet.status
    assert status.committed is not None
    assert (status.committed.reports.received, status.committed.reports.rejected) == (3, 0)
    assert status.rejected_reports == ()
    assert [row.name for row in status.miners] == ["m-1", "m-2"]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sets(st.integers(0, 9), max_size=10), min_size=1, max_size=8))
def test_whatever_the_comings_and_goings_no_uid_has_two_holders_and_no_holder_two_uids(present: list[set[int]]) -> None:
    world = World.of(miners=0, members={"maxMiners": 4, "allowedNamespaces": {"from": "All"}})
    known: dict[str, int] = {}
    for number in present:
        world.miners = [miner(f"m-{i}") for i in sorted(number)]
        world.step()
        rows = world.subnet.status.miners
        assert len(rows) <= 4
        assert len({row.uid for row in rows + world.subnet.status.validators}) == len(rows) + 3
        scored = {row.name for row in rows if row.registered_epoch <= 1}
        assert {row.name for row in rows} - scored <= {one.metadata.name for one in world.miners}
        now = {row.name: row.uid for row in rows}
        assert all(now[name] == uid for name, uid in known.items() if name in now)
        known = now
