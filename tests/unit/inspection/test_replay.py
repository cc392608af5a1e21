"""A replay reproduces a real commit digit by digit, notices every change, and names what is missing."""

from collections.abc import Callable
from typing import Any

import pytest

from assay.api import ScoreReport
from assay.desired.bonds import sha256_hex
from assay.inspection.market import NotFoundIn
from assay.inspection.replay import DIFFERENT, INCOMPLETE, REPRODUCED, Replay, replay
from recorded_demo import Objects, market, without


def replayed(change: Callable[[Objects], object] | None = None) -> Replay:
    return replay(market(change))


def differing(done: Replay) -> set[str]:
    return {one.what for one in done.comparisons if one.recomputed is not None and not one.same}


def unknown(done: Replay) -> set[str]:
    return {one.what for one in done.comparisons if one.recomputed is None}


def test_a_commit_of_a_real_cluster_is_reproduced_in_all_three_digests() -> None:
    done = replayed()
    assert done.verdict == REPRODUCED
    assert done.epoch == 42
    assert [one.what for one in done.comparisons] == ["inputs", "state", "bonds"]
    assert all(one.same for one in done.comparisons)
    assert (done.missing, done.changed) == ((), ())
    assert len(done.inputs) == 6


def newcomer(raw: Objects) -> None:
    row = dict(raw["subnet"]["status"]["miners"][0])
    row |= {"uid": 12, "name": "late", "namespace": "late", "objectUid": "late", "registeredEpoch": 43}
    raw["subnet"]["status"]["miners"].append(row)


def test_a_member_that_joined_after_the_commit_does_not_disturb() -> None:
    assert replayed(newcomer).verdict == REPRODUCED


def of_another_subnet(raw: Objects) -> None:
    stranger = dict(raw["scorereports"][0])
    stranger["spec"] = {**stranger["spec"], "subnet": {**stranger["spec"]["subnet"], "uid": "another"}}
    raw["scorereports"].append(stranger)


def test_reports_of_other_subnets_do_not_disturb() -> None:
    assert replayed(of_another_subnet).verdict == REPRODUCED


def report_of(raw: Objects, epoch: int, validator: str) -> dict[str, Any]:
    found = (one for one in raw["scorereports"] if one["metadata"]["name"].startswith(f"{validator}-{epoch}-"))
    spec: dict[str, Any] = next(found)["spec"]
    return spec


def weight(raw: Objects) -> None:
    report_of(raw, 42, "val-b")["scores"][7]["weight"] += 60


def latency(raw: Objects) -> None:
    report_of(raw, 42, "val-b")["scores"][7]["latencyP99Us"] += 1


def stake(raw: Objects) -> None:
    raw["subnet"]["status"]["validators"][0]["stake"] += 1


def kappa(raw: Objects) -> None:
    raw["subnet"]["spec"]["consensus"]["kappa"] = 60_000


def incentive(raw: Objects) -> None:
    raw["subnet"]["status"]["committed"]["stateDigest"] = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("change", "what"),
    [
        pytest.param(weight, {"inputs", "state", "bonds"}, id="another weight in a report changes everything"),
        pytest.param(latency, {"inputs"}, id="another latency in a report changes the inputs alone"),
        pytest.param(stake, {"inputs", "state", "bonds"}, id="another stake changes everything"),
        pytest.param(kappa, {"inputs", "state", "bonds"}, id="another parameter changes everything"),
        pytest.param(incentive, {"state"}, id="a state digest that was not what the epoch gave is found"),
    ],
)
def test_what_is_other_than_at_the_commit_shows(change: Callable[[Objects], None], what: set[str]) -> None:
    done = replayed(change)
    assert done.verdict == DIFFERENT
    assert differing(done) <= what
    assert differing(done)


def test_a_spec_that_changed_after_the_commit_is_told() -> None:
    def late(raw: Objects) -> None:
        kappa(raw)
        for entry in raw["subnet"]["metadata"]["managedFields"]:
            entry["time"] = "2026-11-24T22:00:00Z"

    assert any("the spec was changed at 2026-11-24T22:00:00Z" in line for line in replayed(late).changed)


def altered(raw: Objects) -> None:
    for obj in raw["bonds"]:
        if obj["metadata"]["labels"]["assay.dev/epoch"] == "41":
            obj["data"]["bonds.json"] = obj["data"]["bonds.json"].replace('"epoch":41', '"epoch":40')


def gone(raw: Objects) -> None:
    raw["subnet"]["status"]["miners"] = raw["subnet"]["status"]["miners"][1:]


@pytest.mark.parametrize(
    ("change", "missing", "lost"),
    [
        pytest.param(
            without("scorereports", epoch=42, name="val-c"),
            "report of validator val-c/val-c for epoch 42: there is no ScoreReport val-c/val-c-42-",
            {"inputs", "state", "bonds"},
            id="a report of the epoch",
        ),
        pytest.param(
            without("bonds", epoch=41),
            "bonds of epoch 41: no ConfigMap in namespace demo labelled assay.dev/epoch=41",
            {"inputs", "state", "bonds"},
            id="the bonds before",
        ),
        pytest.param(
            without("bonds", epoch=42), "bonds of epoch 42", {"inputs", "state", "bonds"}, id="the epoch's own bonds"
        ),
        pytest.param(
            without("bonds", epoch=40),
            "bonds of epoch 40",
            {"inputs"},
            id="the bonds two epochs before, for the inputs",
        ),
        pytest.param(
            without("scorereports", epoch=41),
            "state of epoch 41",
            {"inputs"},
            id="the reports of the epoch before, for the inputs",
        ),
        pytest.param(altered, "was altered", {"inputs", "state", "bonds"}, id="bonds that were tampered with"),
        pytest.param(gone, "row of UID 0", {"inputs", "state", "bonds"}, id="the row of a member that left"),
    ],
)
def test_a_missing_input_is_named(change: Callable[[Objects], None], missing: str, lost: set[str]) -> None:
    done = replayed(change)
    assert done.verdict == INCOMPLETE
    assert any(missing in line for line in done.missing), done.missing
    assert unknown(done) == lost
    assert not differing(done)


def test_the_bonds_of_an_epoch_written_twice_do_not_confuse() -> None:
    """An operator that dies between writing bonds and committing leaves chunks that no commit refers to."""

    def twice(raw: Objects) -> None:
        orphan = next(obj for obj in raw["bonds"] if obj["metadata"]["labels"]["assay.dev/epoch"] == "40")
        text = orphan["data"]["bonds.json"].replace('"epoch":40', '"epoch":41')
        labels = {**orphan["metadata"]["labels"], "assay.dev/epoch": "41"}
        name = f"embeddings-bonds-{sha256_hex(text)[:10]}"
        raw["bonds"].append({**orphan, "metadata": {**orphan["metadata"], "name": name, "labels": labels}})
        raw["bonds"][-1]["data"] = {"bonds.json": text}

    assert replayed(twice).verdict == REPRODUCED


def test_before_the_first_commit_there_is_nothing_to_replay() -> None:
    def fresh(raw: Objects) -> None:
        raw["subnet"]["status"].pop("committed")

    with pytest.raises(NotFoundIn, match="no epoch was committed yet"):
        replayed(fresh)


def test_an_object_that_does_not_parse_is_told_and_the_rest_used() -> None:
    def broken(raw: Objects) -> None:
        raw["scorereports"].append({**raw["scorereports"][0], "spec": {}})

    seen = market(broken)
    assert len(seen.reports) == 20
    assert any("spec" in line for line in seen.unreadable)
    assert all(isinstance(one, ScoreReport) for one in seen.reports.values())
