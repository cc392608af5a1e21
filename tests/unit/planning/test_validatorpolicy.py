"""A validator through an epoch: assignment, digest, Job, report."""

from dataclasses import replace

from assay.api import Assignment
from assay.desired.scoring_job import ANNOTATION_ASSIGNMENT
from assay.planning.plan import Apply, Create, Delete
from market import World, policy

WEIGHTS = {0: 60000, 1: 60000, 2: 0}


def opened() -> World:
    world = World.of()
    world.step()
    return world


def reasons(world: World, name: str = "val-a") -> dict[str, str]:
    return {one.type: one.reason for one in world.policies[name].status.conditions}


def created(world: World, name: str = "val-a") -> list[str]:
    return [effect.manifest["kind"] for effect in world.step_validator(name).effects if isinstance(effect, Create)]


def test_assignment_then_digest_then_job_each_in_a_pass_of_its_own() -> None:
    world = opened()
    assert created(world) == ["ConfigMap"]
    assert world.policies["val-a"].status.assignment is None
    assert created(world) == []
    given = world.policies["val-a"].status.assignment
    assert given is not None
    assert given.digest == next(iter(world.assignments.values())).digest
    assert created(world) == ["Job"]
    assert created(world) == []
    assert reasons(world)["Scoring"] == "JobRunning"


def test_the_scorers_identity_is_kept_up_in_every_pass() -> None:
    world = opened()
    applied = [effect.manifest for effect in world.step_validator("val-a").effects if isinstance(effect, Apply)]
    assert [(one["kind"], one["metadata"]["name"]) for one in applied] == [
        ("ServiceAccount", "val-a-scorer"),
        ("RoleBinding", "val-a-scorer"),
    ]
    assert applied[1]["roleRef"]["name"] == "assay-scorer"
    assert applied[0]["automountServiceAccountToken"] is False


def test_the_assignment_names_every_registered_miner_and_the_reference() -> None:
    world = opened()
    world.step_validator("val-a")
    given = Assignment.parse_file(next(iter(world.assignments.values())).text.encode())
    assert [(miner.uid, miner.url) for miner in given.miners] == [(i, f"grpc://m-{i}.example:8001") for i in range(3)]
    assert given.reference is not None
    assert given.reference.url == "grpc://reference.example:8001"
    assert (given.deadline, given.epoch, given.scoring.metric) == ("2026-11-24T12:00:40Z", 1, "CosineDistance")


def test_every_validator_and_epoch_has_challenges_of_its_own() -> None:
    world = World.of()
    seeds = set()
    for _ in range(2):
        world.settle()
        seeds |= {Assignment.parse_file(one.text.encode()).seed for one in world.assignments.values()}
        world.run_epoch(dict.fromkeys(world.policies, WEIGHTS))
    assert len(seeds) == 6


def test_a_miner_registered_after_the_epoch_opened_waits_for_the_next() -> None:
    world = opened()
    first = world.subnet.status.miners[0]
    late = first.model_copy(update={"registered_epoch": 2})
    world.subnet = world.subnet.model_copy(
        update={"status": world.subnet.status.model_copy(update={"miners": (late, *world.subnet.status.miners[1:])})}
    )
    world.step_validator("val-a")
    given = Assignment.parse_file(next(iter(world.assignments.values())).text.encode())
    assert [miner.uid for miner in given.miners] == [1, 2]


def test_an_assignment_that_is_not_the_operators_is_deleted_and_made_anew() -> None:
    world = opened()
    world.settle()
    name = next(name for name in world.assignments if name.startswith("val-a-"))
    good = world.assignments[name]
    world.assignments[name] = replace(good, text=good.text.replace('"epoch":1', '"epoch":7'))
    done = world.step_validator("val-a")
    assert [effect.name for effect in done.effects if isinstance(effect, Delete)] == [name]
    world.settle()
    assert world.assignments[name].digest == good.digest


def test_a_deleted_assignment_whose_facts_have_moved_gets_a_new_digest_and_a_new_job() -> None:
    world = opened()
    world.settle()
    name = next(name for name in world.assignments if name.startswith("val-a-"))
    before = world.assignments.pop(name)
    moved = world.miners[0].spec.model_copy(
        update={"endpoint": world.miners[0].spec.endpoint.model_copy(update={"url": "grpc://moved.example:8001"})}  # type: ignore[union-attr]
    )
    world.miners[0] = world.miners[0].model_copy(update={"spec": moved})
    world.settle()
    given = world.policies["val-a"].status.assignment
    assert given is not None
    assert given.digest == world.assignments[name].digest == world.jobs[name].assignment_digest
    assert given.digest != before.digest


def test_a_deleted_job_comes_back_for_the_same_assignment() -> None:
    world = opened()
    world.settle()
    name = next(name for name in world.jobs if name.startswith("val-a-"))
    before = world.jobs.pop(name)
    world.settle()
    assert world.jobs[name].assignment_digest == before.assignment_digest


def test_an_epoch_that_has_its_report_gets_no_further_job() -> None:
    world = opened()
    world.settle()
    filed = world.file("val-a", WEIGHTS)
    del world.jobs[filed.metadata.name]
    assert created(world) == []
    assert reasons(world)["Scoring"] == "Reported"


def test_the_job_carries_the_digest_the_deadline_and_one_right() -> None:
    world = opened()
    world.step_validator("val-a")
    world.step_validator("val-a")
    world.pass_time(10)
    job = next(e.manifest for e in world.step_validator("val-a").effects if isinstance(e, Create))
    given = world.policies["val-a"].status.assignment
    assert given is not None
    assert job["metadata"]["annotations"][ANNOTATION_ASSIGNMENT] == given.digest
    assert job["spec"]["activeDeadlineSeconds"] == 30
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "val-a-scorer"
    assert pod["containers"][0]["args"] == ["score", "--assignment", "/etc/assay/assignment/assignment.json"]


def test_a_finished_job_stays_until_its_epoch_takes_no_more_reports() -> None:
    world = World.of()
    world.policies["val-a"] = policy("val-a", job={"ttlAfterFinished": "0s"})
    world.step()
    world.step_validator("val-a")
    world.step_validator("val-a")
    job = next(e.manifest for e in world.step_validator("val-a").effects if isinstance(e, Create))
    assert job["spec"]["ttlSecondsAfterFinished"] == job["spec"]["activeDeadlineSeconds"] == 40


def test_a_validators_own_scorer_is_merged_into_the_job() -> None:
    world = World.of()
    own = {"spec": {"containers": [{"name": "scorer", "image": "own/scorer:1", "command": ["/score"], "args": []}]}}
    world.policies["val-a"] = policy("val-a", job={"podTemplate": own})
    world.settle()
    assert any(name.startswith("val-a-") for name in world.jobs)


def test_a_template_that_would_break_the_job_is_refused_with_field_and_remedy() -> None:
    world = World.of()
    bad = {"spec": {"serviceAccountName": "admin", "containers": []}}
    world.policies["val-a"] = policy("val-a", job={"podTemplate": bad})
    world.settle()
    accepted = next(one for one in world.policies["val-a"].status.conditions if one.type == "Accepted")
    assert (accepted.status, accepted.reason) == ("False", "InvalidSpec")
    assert "serviceAccountName" in accepted.message
    assert not any(name.startswith("val-a-") for name in world.jobs)


def test_a_reference_that_is_not_ready_is_waited_for_a_third_of_the_window_and_no_longer() -> None:
    world = World.of()
    world.policies["val-a"] = policy("val-a", reference={"modelDeploymentRef": {"name": "reference"}})
    world.step()
    waiting = world.step_validator("val-a")
    assert not [effect for effect in waiting.effects if isinstance(effect, Create)]
    assert waiting.requeue_after_s is not None
    assert 13 < waiting.requeue_after_s <= 40 / 3
    assert reasons(world)["ReferenceReady"] == "ReferenceNotFound"
    world.pass_time(14)
    assert created(world) == ["ConfigMap"]


def test_a_suspended_validator_starts_no_job_and_is_not_waited_for() -> None:
    world = World.of()
    world.policies["val-c"] = policy("val-c", suspend=True)
    world.settle()
    assert not any(name.startswith("val-c-") for name in world.jobs)
    for name in ("val-a", "val-b"):
        world.file(name, WEIGHTS)
    world.settle()
    assert world.subnet.status.committed is not None


def test_whoever_is_not_listed_hears_it_from_the_permitted_condition() -> None:
    world = World.of()
    world.policies["stranger"] = policy("stranger")
    world.step()
    world.step_validator("stranger")
    assert reasons(world, "stranger")["Permitted"] == "NotListed"
    assert reasons(world, "stranger")["Ready"] == "NotListed"


def test_what_the_consensus_gave_is_mirrored_from_the_subnet() -> None:
    world = World.of()
    world.run_epoch(dict.fromkeys(world.policies, WEIGHTS))
    row = next(row for row in world.subnet.status.validators if row.name == "val-a")
    mirrored = world.policies["val-a"].status.consensus
    assert mirrored is not None
    assert (mirrored.epoch, mirrored.trust, mirrored.dividends, mirrored.emission) == (
        1,
        row.trust,
        row.dividends,
        row.emission,
    )


def test_recent_epochs_are_told_newest_first_and_at_most_five() -> None:
    world = World.of()
    for _ in range(7):
        world.run_epoch({name: WEIGHTS for name in world.policies if name != "val-c"})
    world.settle()
    told = {
        name: [(one.epoch, one.job_outcome) for one in world.policies[name].status.recent]
        for name in ("val-a", "val-c")
    }
    assert told["val-a"][0][0] == 8
    assert told["val-a"][1:] == [(n, "Reported") for n in (7, 6, 5, 4)]
    assert told["val-c"][1:] == [(n, "Missed") for n in (7, 6, 5, 4)]


def test_an_invalid_state_of_one_validator_does_not_touch_the_others() -> None:
    world = World.of()
    world.policies["val-a"] = policy("val-a", job={"podTemplate": {"spec": {"hostNetwork": True}}})
    world.settle()
    assert sorted(name[:5] for name in world.jobs) == ["val-b", "val-c"]


def test_what_is_of_a_subnet_that_had_the_name_before_is_collected_and_not_told() -> None:
    world = World.of()
    for _ in range(3):
        world.run_epoch(dict.fromkeys(world.policies, WEIGHTS))
    assert any(name.startswith("val-a-3-") for name in world.reports)
    anew = world.subnet.metadata.model_copy(update={"uid": "uid-anew"})
    world.subnet = world.subnet.model_copy(update={"metadata": anew, "status": type(world.subnet.status)()})
    world.settle()
    assert world.subnet.status.rejected_reports == ()
    assert not any(name.startswith("val-a-") for name in world.reports)
    assert {one.epoch for name, one in world.jobs.items() if name.startswith("val-a-")} == {1}
    assert {one.epoch for name, one in world.assignments.items() if name.startswith("val-a-")} == {1}
    status = world.policies["val-a"].status
    assert status.last_scored is None
    assert [(one.epoch, one.job_outcome) for one in status.recent] == [(1, "Running")]
    world.run_epoch(dict.fromkeys(world.policies, WEIGHTS))
    assert world.policies["val-a"].status.last_scored is not None
