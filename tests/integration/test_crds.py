"""Our CRDs in the real API server: accepted, complete, and as strict as the models, with messages that help."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from kubernetes import client

from assay.api import (
    API_VERSION,
    GROUP,
    KINDS,
    VERSION,
    Condition,
    EpochStatus,
    InvalidObject,
    MinerStatus,
    PackedMiners,
    RejectedReport,
    Resource,
    Subnet,
    SubnetStatus,
    ValidatorStatus,
    to_wire,
)
from cluster import LocalCluster
from crd_cases import Case, load

pytestmark = pytest.mark.cluster

PLURALS = {kind.DEFINITION.kind: kind.DEFINITION.plural for kind in KINDS}
MODELS: Mapping[str, type[Resource]] = {kind.DEFINITION.kind: kind for kind in KINDS}
NOW = "2026-11-24T20:15:00Z"
FINAL = "a ScoreReport's spec never changes: one report per validator and epoch is final; report anew in the next epoch"
SKIPPED_RULES = "some validation rules were not checked because the object was invalid"


def create(objects: client.CustomObjectsApi, namespace: str, obj: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """Create an object, refusing unknown fields as kubectl does."""
    plural = PLURALS[obj["kind"]]
    return objects.create_namespaced_custom_object(
        GROUP, VERSION, namespace, plural, obj, field_validation="Strict", **options
    )


def refusal(objects: client.CustomObjectsApi, obj: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Status with which the API server refuses an object."""
    with pytest.raises(client.ApiException) as refused:
        create(objects, "default", obj, dry_run="All")
    return json.loads(refused.value.body)


@pytest.mark.parametrize("case", load("good"), ids=str)
def test_a_good_object_is_accepted_by_server_and_model(case: Case, custom_objects: client.CustomObjectsApi) -> None:
    stored = create(custom_objects, "default", case.obj, dry_run="All")
    model = MODELS[case.kind]
    assert model.parse(stored).spec == model.parse(case.obj).spec, "server and model fill in the same defaults"


@pytest.mark.parametrize("case", load("bad"), ids=str)
def test_a_bad_object_is_refused_with_exactly_these_words(case: Case, custom_objects: client.CustomObjectsApi) -> None:
    status = refusal(custom_objects, case.obj)
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert status["message"].startswith(f'{case.kind}.{GROUP} "{case.obj["metadata"]["name"]}" is invalid: ')
    said = [f"{cause['field']}: {cause['message']}" for cause in status["details"]["causes"]]
    assert sorted(line for line in said if SKIPPED_RULES not in line) == sorted(case.says)


@pytest.mark.parametrize("case", load("bad"), ids=str)
def test_what_the_server_refuses_the_model_refuses(case: Case) -> None:
    with pytest.raises(InvalidObject) as refused:
        MODELS[case.kind].parse(case.obj)
    assert all(
        problem.startswith(f"{case.kind} {case.obj['metadata']['name']}: ") for problem in refused.value.problems
    )


@pytest.mark.parametrize("case", load("unknown"), ids=str)
def test_an_unknown_field_is_named(case: Case, custom_objects: client.CustomObjectsApi) -> None:
    status = refusal(custom_objects, case.obj)
    assert status["code"] == 400
    assert [status["message"].split("strict decoding error: ")[-1]] == list(case.says)


def test_a_score_report_never_changes(custom_objects: client.CustomObjectsApi, namespace: str) -> None:
    report = next(case.obj for case in load("good") if case.kind == "ScoreReport")
    stored = create(custom_objects, namespace, report)
    stored["spec"]["scores"][0]["weight"] = 1
    with pytest.raises(client.ApiException) as refused:
        custom_objects.replace_namespaced_custom_object(
            GROUP, VERSION, namespace, "scorereports", stored["metadata"]["name"], stored
        )
    (cause,) = json.loads(refused.value.body)["details"]["causes"]
    assert cause["field"] == "spec"
    assert cause["message"] == f"Invalid value: {FINAL}"


def test_labels_of_a_score_report_may_change(custom_objects: client.CustomObjectsApi, namespace: str) -> None:
    report = next(case.obj for case in load("good") if case.kind == "ScoreReport")
    stored = create(custom_objects, namespace, report)
    stored["metadata"]["labels"] = {"seen": "yes"}
    changed = custom_objects.replace_namespaced_custom_object(
        GROUP, VERSION, namespace, "scorereports", stored["metadata"]["name"], stored
    )
    assert changed["spec"] == stored["spec"]


def test_defaults_are_written_into_the_object_and_none_into_its_status(
    custom_objects: client.CustomObjectsApi, namespace: str
) -> None:
    smallest = next(case.obj for case in load("good") if case.name == "the smallest subnet")
    stored = create(custom_objects, namespace, smallest)
    assert stored["spec"]["epoch"] == {"length": "5m", "scoringWindow": "2m", "historyLimit": 5}
    assert stored["spec"]["consensus"]["liquidAlpha"]["high"] == 58_982
    assert "status" not in stored


def test_spec_and_status_are_written_apart(custom_objects: client.CustomObjectsApi, namespace: str) -> None:
    smallest = next(case.obj for case in load("good") if case.name == "the smallest subnet")
    stored = create(custom_objects, namespace, {**smallest, "status": {"observedGeneration": 7}})
    assert "status" not in stored
    updated = custom_objects.patch_namespaced_custom_object_status(
        GROUP,
        VERSION,
        namespace,
        "subnets",
        "embeddings",
        {"status": {"observedGeneration": 1}, "spec": {"suspend": True}},
    )
    assert updated["status"] == {"observedGeneration": 1}
    assert updated["spec"]["suspend"] is False


def test_the_largest_status_is_accepted(custom_objects: client.CustomObjectsApi, namespace: str) -> None:
    smallest = next(case.obj for case in load("good") if case.name == "the smallest subnet")
    create(custom_objects, namespace, smallest)
    status = SubnetStatus(
        epoch=EpochStatus(number=99_999_999, phase="Scoring", started_at=NOW, scoring_deadline=NOW, ends_at=NOW),
        miners=tuple(
            MinerStatus(uid=uid, namespace="n" * 63, name="a" * 52, object_uid="u" * 36) for uid in range(256)
        ),
        validators=tuple(
            ValidatorStatus(uid=uid, namespace="n" * 63, name="a" * 45, object_uid="u" * 36) for uid in range(256)
        ),
        packed=PackedMiners(uids="A" * 10_924, consensus="A" * 10_924, incentive="A" * 10_924),
        rejected_reports=tuple(
            RejectedReport(epoch=uid, validator="v" * 317, reason="NotAssigned", message="m" * 1024)
            for uid in range(16)
        ),
        conditions=tuple(
            Condition(type=f"Type{n}", status="True", reason="Seen", message="m" * 1024, last_transition_time=NOW)
            for n in range(16)
        ),
    )
    stored = custom_objects.patch_namespaced_custom_object_status(
        GROUP, VERSION, namespace, "subnets", "embeddings", {"status": to_wire(status)}
    )
    assert Subnet.parse(stored).status == status


def test_conditions_are_owned_one_by_one(cluster: LocalCluster, custom_objects: Any, namespace: str) -> None:
    smallest = next(case.obj for case in load("good") if case.name == "the smallest subnet")
    create(custom_objects, namespace, smallest)
    for manager, kind in (("assay-status", "Ready"), ("assay-scoring", "ConsensusFresh")):
        condition = {"type": kind, "status": "True", "reason": "Seen", "lastTransitionTime": "2026-11-24T20:15:00Z"}
        partial = {
            "apiVersion": API_VERSION,
            "kind": "Subnet",
            "metadata": {"name": "embeddings", "namespace": namespace},
            "status": {"conditions": [condition]},
        }
        cluster.kubectl(
            "apply", "--server-side", f"--field-manager={manager}", "--subresource=status", "-f", "-",
            stdin=json.dumps(partial),
        )  # fmt: skip
    stored = custom_objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "subnets", "embeddings")
    assert [condition["type"] for condition in stored["status"]["conditions"]] == ["Ready", "ConsensusFresh"]


def test_kubectl_scales_a_model_deployment(cluster: LocalCluster, custom_objects: Any, namespace: str) -> None:
    miner = next(case.obj for case in load("good") if case.name == "a miner of Triton pods")
    create(custom_objects, namespace, miner)
    cluster.kubectl("scale", "md/honest-0", "--replicas=3", "--namespace", namespace)
    stored = custom_objects.get_namespaced_custom_object(GROUP, VERSION, namespace, "modeldeployments", "honest-0")
    assert stored["spec"]["replicas"] == 3


def test_a_fixed_point_of_parse_and_to_wire_is_accepted_unchanged(
    custom_objects: client.CustomObjectsApi, namespace: str
) -> None:
    for case in load("good"):
        stored = create(custom_objects, "default", case.obj, dry_run="All")
        wire = MODELS[case.kind].parse(stored).to_wire()
        again = create(custom_objects, namespace, {**wire, "metadata": case.obj["metadata"]}, dry_run="All")
        assert MODELS[case.kind].parse(again).spec == MODELS[case.kind].parse(stored).spec, str(case)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.DEFINITION.kind)
def test_kubectl_shows_the_columns(
    kind: type[Resource], cluster: LocalCluster, custom_objects: Any, namespace: str
) -> None:
    first = next(case.obj for case in load("good") if case.kind == kind.DEFINITION.kind)
    create(custom_objects, namespace, first)
    shown = cluster.kubectl("get", kind.DEFINITION.short_name, "--namespace", namespace, "-o", "wide").splitlines()[0]
    assert shown.split() == ["NAME", *" ".join(column.name.upper() for column in kind.DEFINITION.columns).split()]


def test_the_category_lists_all_kinds(cluster: LocalCluster, crds_installed: None) -> None:
    listed = cluster.kubectl("api-resources", "--categories=assay", "-o", "name").split()
    assert sorted(listed) == sorted(f"{plural}.{GROUP}" for plural in PLURALS.values())


def test_descriptions_are_served(cluster: LocalCluster, crds_installed: None) -> None:
    explained = cluster.kubectl("explain", "subnet.spec.epoch.scoringWindow")
    assert "How long after the epoch opens scoring Jobs may report" in " ".join(explained.split())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.DEFINITION.kind)
def test_the_api_server_calls_the_schema_structural(
    kind: type[Resource], api_client: Any, crds_installed: None
) -> None:
    definition = client.ApiextensionsV1Api(api_client).read_custom_resource_definition(
        f"{kind.DEFINITION.plural}.{GROUP}"
    )
    states = {condition.type: condition.status for condition in definition.status.conditions}
    assert states["Established"] == "True"
    assert states.get("NonStructuralSchema", "False") == "False"
