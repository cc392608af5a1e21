"""Hostile and broken objects: each becomes a condition with a reason within 5 s, and none harms another.

One operator and one healthy market live through all of it; the last test asks how that market fared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from assay.api import digest_of
from installed_chart import MERGE, Installation, path_of, wait_until
from live_market import API_VERSION, SOON_S, Market, running_market
from live_watch import Object
from operator_process import OperatorProcess
from operator_stage import making_replicas, market, stage
from scorers import report_for

__all__ = ["market", "stage"]
pytestmark = pytest.mark.cluster

LONG = {"length": "10m", "scoringWindow": "5m", "historyLimit": 3}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@dataclass(frozen=True)
class Scene:
    """The operator, and a market that behaves."""

    operator: OperatorProcess
    bystander: Market


@pytest.fixture(scope="module")
def scene(stage: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with making_replicas(stage, tmp_path_factory.mktemp("hostile")) as make, running_market(stage, "good") as good:
        operator = make("assay-0")
        operator.start_and_lead()
        good.apply_all()
        good.wait_committed(1)
        yield Scene(operator, good)


def test_a_pod_template_that_breaks_what_assay_keeps_is_refused_by_field(scene: Scene, market: Market) -> None:
    market.apply_miner("root", podTemplate={"spec": {"containers": [privileged("triton")]}})
    found = market.wait_condition(market.record.deployments, "root", "Accepted", reason="InvalidSpec")
    assert "podTemplate.spec.containers" in found["message"]
    assert "privileged" in found["message"]
    assert market.record.workloads.get("root-triton") is None


def test_a_scorer_template_that_breaks_what_assay_keeps_is_refused_by_field(scene: Scene, market: Market) -> None:
    market.apply_miner("m")
    market.apply_validator("root", job={"podTemplate": {"spec": {"containers": [privileged("scorer")]}}})
    market.apply_validator("fair")
    for name in ("root", "fair"):
        market.wait_condition(market.record.policies, name, "Permitted", reason="SubnetNotFound")
    market.apply_subnet(epoch=LONG, stakes={"root": 1, "fair": 1})
    found = market.wait_condition(market.record.policies, "root", "Accepted", reason="InvalidSpec")
    assert "spec.job.podTemplate.spec.containers" in found["message"]
    market.record.jobs.wait(lambda: job_of(market, "fair"), "the fair validator has its Job", SOON_S)
    assert job_of(market, "root") is None


def test_a_template_that_only_the_server_can_judge_is_told_in_its_words(scene: Scene, market: Market) -> None:
    market.apply_miner("typo", podTemplate={"spec": {"nodeSelector": {"no such key!": "x"}}})
    found = market.wait_condition(market.record.deployments, "typo", "Accepted", reason="Refused")
    assert "nodeSelector" in found["message"]


def test_an_object_that_slipped_past_the_schema_says_what_is_wrong_with_it(scene: Scene, market: Market) -> None:
    epoch = {"length": "soon", "scoringWindow": "1s"}
    sample = {"apiVersion": API_VERSION, "kind": "Subnet", "metadata": {"name": "sample"}, "spec": {"epoch": epoch}}
    with loosened(market.server, "subnets", sample):
        market.apply_subnet("broken", stakes={"val-a": -1}, epoch=epoch)
        found = market.wait_condition(market.record.subnets, "broken", "Accepted", reason="InvalidSpec")
    assert "spec.validators[0].stake" in found["message"]
    assert "spec.epoch.length" in found["message"]


def test_a_subnet_that_does_not_exist_is_named_by_miner_and_validator(scene: Scene, market: Market) -> None:
    market.apply_miner("m", "nowhere")
    market.apply_validator("v", "nowhere")
    miner = market.wait_condition(market.record.deployments, "m", "Registered", reason="SubnetNotFound")
    validator = market.wait_condition(market.record.policies, "v", "Permitted", reason="SubnetNotFound")
    assert f"{market.namespace}/nowhere" in miner["message"]
    assert f"{market.namespace}/nowhere" in validator["message"]


def test_a_subnet_of_missing_validators_names_them(scene: Scene, market: Market) -> None:
    market.apply_subnet(stakes={"ghost": 1000})
    found = market.wait_condition(market.record.subnets, "market", "ValidatorsReady", reason="NoValidators")
    assert f"{market.namespace}/ghost" in found["message"]


def test_a_miner_of_a_foreign_namespace_is_not_let_in(scene: Scene, market: Market) -> None:
    there = scene.bystander.namespace
    miner = {"model": {"name": "double", "version": "1"}, "triton": {"source": {"configMap": {"name": "model"}}}}
    miner["subnetRef"] = {"namespace": there, "name": "market"}
    market.create("modeldeployments", "ModelDeployment", "intruder", miner)
    found = market.wait_condition(market.record.deployments, "intruder", "Registered", reason="NotAllowed")
    assert "allowedNamespaces" in found["message"]
    assert "intruder" not in {row["name"] for row in scene.bystander.subnet()["status"]["miners"]}


def test_a_validator_that_the_owner_does_not_list_gives_itself_no_stake(scene: Scene, market: Market) -> None:
    there = {"namespace": scene.bystander.namespace, "name": "market"}
    market.apply_validator("upstart", subnetRef=there)
    found = market.wait_condition(market.record.policies, "upstart", "Permitted", reason="NotListed")
    assert "spec.validators" in found["message"]


def test_an_endpoint_that_never_answers_is_unreachable(scene: Scene, market: Market) -> None:
    market.apply_miner("hole", None, endpoint={"url": "grpc://192.0.2.1:8001"})
    market.wait_condition(market.record.deployments, "hole", "Ready", reason="Unreachable")


def test_an_endpoint_that_leads_back_into_the_cluster_is_not_asked(scene: Scene, market: Market) -> None:
    market.apply_miner("self", None, endpoint={"url": "grpc://127.0.0.1:8001"})
    found = market.wait_condition(market.record.deployments, "self", "Accepted", reason="InvalidSpec")
    assert "loopback" in found["message"]


def test_a_forged_report_is_refused_and_a_false_one_rejected(scene: Scene, market: Market) -> None:
    market.scorers.silent |= {"market-v0", "market-v1"}
    market.apply_all(epoch=LONG)
    market.record.jobs.wait(lambda: job_of(market, "market-v0") and job_of(market, "market-v1"), "both Jobs are there")
    name = str(job_of(market, "market-v0"))
    honest = report_for(market.scorers.assignment(name), {})
    reports = path_of("scorereports", market.namespace)
    as_admin = market.server.request("POST", reports, honest)
    as_other = market.server.request("POST", reports, honest, token=market.scorers.token("market-v1"))
    assert (as_admin.status, as_other.status) == (403, 403)
    assert "only system:serviceaccount" in as_other.message

    strange = {**honest, "spec": {**honest["spec"], "assignmentDigest": f"sha256:{'0' * 64}"}}
    assert market.scorers.file(strange).status == 201
    rejected = wait_rejected(market, "market-v0")
    assert rejected["reason"] == "WrongAssignment"
    assert market.committed() == 0


def test_an_assignment_that_was_exchanged_is_thrown_out_and_given_anew(scene: Scene, market: Market) -> None:
    market.scorers.silent |= {"market-v0"}
    market.apply_all(epoch=LONG, validators=1)
    market.record.jobs.wait(lambda: job_of(market, "market-v0"), "the Job is there")
    name = str(job_of(market, "market-v0"))
    given = market.server.must("GET", market.core("configmaps", name))
    easy = json.loads(given["data"]["assignment.json"])
    easy["seed"] = "0" * 64
    scene.operator.pause()
    market.delete(market.core("configmaps", name))
    market.server.must("POST", market.core("configmaps"), exchanged(given, easy))
    scene.operator.resume()
    wait_until(
        lambda: market.server.request("GET", market.core("configmaps", name)).body.get("data") == given["data"],
        "the assignment is what it was",
        SOON_S,
    )
    assert job_digest(market, name) == digest_of(given["data"]["assignment.json"].encode())
    assert market.scorers.file(report_for(market.scorers.assignment(name), {})).status == 201
    market.wait_committed(1, timeout_s=SOON_S)


def test_a_name_that_a_stranger_took_is_told(scene: Scene, market: Market) -> None:
    market.scorers.silent |= {"market-v0"}
    market.apply_all(epoch=LONG, validators=1)
    market.record.jobs.wait(lambda: job_of(market, "market-v0"), "the Job is there")
    name = str(job_of(market, "market-v0"))
    scene.operator.pause()
    market.delete(market.core("configmaps", name))
    market.server.must("POST", market.core("configmaps"), {"metadata": {"name": name}, "data": {"mine": "now"}})
    scene.operator.resume()
    found = market.wait_condition(market.record.policies, "market-v0", "Accepted", reason="Refused")
    assert name in found["message"]
    market.delete(market.core("configmaps", name))
    wait_until(
        lambda: market.server.request("GET", market.core("configmaps", name)).body.get("immutable") is True,
        "the assignment is back once the name is free",
        30,
    )


def test_a_quota_is_told_in_the_servers_words_and_holds_up_nobody_else(scene: Scene, market: Market) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"count/deployments.apps": "0", "count/jobs.batch": "0"}}}
    market.server.must("POST", market.core("resourcequotas"), quota)
    wait_until(
        lambda: "used" in market.server.must("GET", market.core("resourcequotas", "none")).get("status", {}),
        "the quota is counted",
    )
    market.apply_all(epoch=LONG)
    miner = market.wait_condition(market.record.deployments, "market-m0", "Accepted", reason="Refused")
    validator = market.wait_condition(market.record.policies, "market-v0", "Accepted", reason="Refused")
    assert "exceeded quota: none" in miner["message"]
    assert "exceeded quota: none" in validator["message"]
    market.delete(market.core("resourcequotas", "none"))
    market.wait_committed(1, timeout_s=30)


def test_a_namespace_that_is_on_its_way_out_holds_up_nobody_else(scene: Scene, market: Market) -> None:
    market.scorers.silent |= {"market-v0", "market-v1"}
    market.apply_all(epoch=LONG)
    market.record.jobs.wait(lambda: job_of(market, "market-v0"), "the market is at work")
    stays = {"metadata": {"name": "stays", "finalizers": ["example.com/later"]}}
    market.server.must("POST", market.core("configmaps"), stays)
    market.server.must("DELETE", f"/api/v1/namespaces/{market.namespace}")
    for watch in (market.record.subnets, market.record.policies, market.record.deployments, market.record.workloads):
        watch.wait(lambda watch=watch: not watch.objects(), "everything of ours is gone", 30)
    market.server.must("PATCH", market.core("configmaps", "stays"), {"metadata": {"finalizers": None}}, **AS_MERGE)


def test_a_miner_that_leaves_in_mid_epoch_costs_nobody_else_the_epoch(scene: Scene, market: Market) -> None:
    market.scorers.silent |= {"market-v0", "market-v1"}
    market.apply_all(epoch=LONG)
    market.record.jobs.wait(lambda: job_of(market, "market-v0") and job_of(market, "market-v1"), "both Jobs are there")
    reports = [
        report_for(market.scorers.assignment(str(job_of(market, name))), {}) for name in ("market-v0", "market-v1")
    ]
    assert {len(report["spec"]["scores"]) for report in reports} == {2}
    market.delete(path_of("modeldeployments", market.namespace, "market-m1"))
    market.record.workloads.wait(lambda: market.record.workloads.get("market-m1-triton") is None, "it is gone")
    for report in reports:
        assert market.scorers.file(report).status == 201
    market.wait_committed(1, timeout_s=SOON_S)
    status = market.subnet()["status"]
    assert status["committed"]["reports"] == {"expected": 2, "received": 2, "rejected": 0}
    assert {row["name"]: row["incentive"] for row in status["miners"]}["market-m0"] > 0
    market.record.subnets.wait(
        lambda: [row["name"] for row in market.subnet()["status"]["miners"]] == ["market-m0"],
        "who left is struck off once the epoch is committed",
        SOON_S,
    )


def test_a_subnet_made_anew_under_its_name_starts_from_nothing(scene: Scene, market: Market) -> None:
    market.apply_all()
    market.wait_committed(2)
    first = market.subnet()["metadata"]["uid"]
    assert market.record.check_epochs("market") >= 2
    market.delete(path_of("subnets", market.namespace, "market"))
    market.apply_subnet(epoch=LONG, stakes={"market-v0": 1000, "market-v1": 1000})
    market.record.subnets.wait(lambda: uid_of(market.record.subnets.get("market")) not in {None, first}, "a new one")
    market.wait_committed(1, timeout_s=15)
    status = market.subnet()["status"]
    assert status["committed"]["number"] == 1
    assert status["committed"]["reports"]["received"] >= 1
    assert {row["registeredEpoch"] for row in (*status["miners"], *status["validators"])} <= {1, 2}

    def forgotten() -> bool:
        reports = market.record.reports.objects()
        return all(one["spec"]["subnet"]["uid"] != first for one in reports) and not market.subnet()["status"].get(
            "rejectedReports"
        )

    market.record.reports.wait(forgotten, "reports on the old one are collected, and no longer complained of", SOON_S)


def test_after_all_of_it_the_bystander_has_lost_nothing(scene: Scene) -> None:
    good = scene.bystander
    before = good.committed()
    good.wait_committed(before + 1)
    assert good.record.check_epochs("market") == good.committed()
    assert {commit.received for commit in good.record.commits("market")[1:]} == {2}
    starts = [start for _, start in good.record.opened("market")]
    assert len(starts) == len(set(starts))
    assert {one["status"] for one in good.subnet()["status"]["conditions"]} == {"True"}
    assert {number for numbers in good.record.generations().values() for number in numbers} == {1}
    assert {line["message"] for line in scene.operator.lines("error")} == set()


AS_MERGE = {"content_type": MERGE}


def privileged(container: str) -> dict[str, Any]:
    return {"name": container, "securityContext": {"privileged": True}}


def job_of(market: Market, validator: str) -> str | None:
    names = (one["metadata"]["name"] for one in market.record.jobs.objects())
    return next((name for name in names if name.startswith(f"{validator}-")), None)


def uid_of(obj: Object | None) -> str | None:
    return obj["metadata"]["uid"] if obj else None


def job_digest(market: Market, name: str) -> str:
    job = market.record.jobs.get(name)
    assert job is not None
    return str(job["metadata"]["annotations"]["assay.dev/assignment-digest"])


def wait_rejected(market: Market, validator: str) -> Object:
    def rejected() -> Object | None:
        found = market.subnet()["status"].get("rejectedReports") or ()
        return next((one for one in found if one["validator"] == f"{market.namespace}/{validator}"), None)

    market.record.subnets.wait(rejected, f"the report of {validator} is rejected", SOON_S)
    result = rejected()
    assert result is not None
    return result


def exchanged(given: Object, content: dict[str, Any]) -> Object:
    """The same object with another content, as whoever may write the namespace can make it."""
    metadata = {key: given["metadata"][key] for key in ("name", "namespace", "labels", "ownerReferences")}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return {"metadata": metadata, "immutable": True, "data": {"assignment.json": text}}


@contextmanager
def loosened(server: Installation, plural: str, sample: dict[str, Any]) -> Iterator[None]:
    """A CRD whose schema takes anything, `sample` for one, for as long as the context lasts."""
    path = f"{CRDS}/{plural}.assay.dev"
    before = server.must("GET", path)
    loose = json.loads(json.dumps(before["spec"]["versions"]))
    for version in loose:
        schema = version["schema"]["openAPIV3Schema"]
        schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        schema.pop("x-kubernetes-validations", None)

    def takes() -> bool:
        answer = server.request("POST", path_of(plural, "default"), sample, dry_run=True)
        return answer.status == 201

    try:
        server.must("PATCH", path, {"spec": {"versions": loose}}, **AS_MERGE)
        wait_until(takes, "the loose schema is served")
        yield
    finally:
        server.must("PATCH", path, {"spec": {"versions": before["spec"]["versions"]}}, **AS_MERGE)
        wait_until(lambda: not takes(), "the schema is served again")
