"""Parsing: every case of the tables, the words of a refusal, and what is ignored."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import pytest
from pydantic import ValidationError

from assay.api import (
    KINDS,
    Condition,
    InvalidObject,
    ModelDeployment,
    PackedMiners,
    Resource,
    ScoreReport,
    Subnet,
    SubnetStatus,
    ValidatorStatus,
    subject_of,
    to_wire,
)
from assay.api.crd import manifest_of
from crd_cases import Case, load

MODELS: Mapping[str, type[Resource]] = {kind.DEFINITION.kind: kind for kind in KINDS}


def object_named(name: str) -> dict[str, Any]:
    return dict(next(case.obj for case in load("good") if case.name == name))


def messages_in(schema: Any) -> set[str]:
    """Every rule's message in a schema."""
    if isinstance(schema, list):
        return set().union(*map(messages_in, schema))
    if not isinstance(schema, dict):
        return set()
    here = {rule["message"] for rule in schema.get("x-kubernetes-validations", ()) if isinstance(rule, dict)}
    return here.union(*(messages_in(inner) for inner in schema.values()))


RULES = frozenset().union(*(messages_in(manifest_of(kind)) for kind in KINDS))


@pytest.mark.parametrize("case", load("good"), ids=str)
def test_a_good_object_is_accepted(case: Case) -> None:
    parsed = MODELS[case.kind].parse(case.obj)
    assert MODELS[case.kind].parse(parsed.to_wire()) == parsed, "parsing is a fixed point"


@pytest.mark.parametrize("case", load("bad"), ids=str)
def test_a_bad_object_is_refused_in_the_words_of_its_rule(case: Case) -> None:
    with pytest.raises(InvalidObject) as refused:
        MODELS[case.kind].parse(case.obj)
    subject = f"{case.kind} {case.obj['metadata']['name']}"
    broken = [(line.split(": ")[0], rule) for line in case.says for rule in RULES if line.endswith(f": {rule}")]
    if len(case.says) == len(broken) == 1:
        ((field, rule),) = broken
        assert refused.value.problems == (f"{subject}: {field}: {rule}",)
    assert all(problem.startswith(f"{subject}: ") for problem in refused.value.problems)


@pytest.mark.parametrize("case", load("unknown"), ids=str)
def test_an_unknown_field_is_ignored(case: Case) -> None:
    parsed = MODELS[case.kind].parse(case.obj)
    assert "unknown" not in parsed.to_wire()["spec"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"task": None}, "spec.task: None is null; write an object", id="null"),
        pytest.param({"task": {"kind": "Tensor"}}, "spec.task.model: is required; add it", id="missing"),
        pytest.param(
            {"suspend": "yes"}, "spec.suspend: 'yes' is a string; write true or false without quotes", id="word"
        ),
        pytest.param({"emission": []}, "spec.emission: [] is a list; write an object", id="list for an object"),
        pytest.param({"validators": {}}, "spec.validators: {} is an object; write a list", id="object for a list"),
        pytest.param(
            {"validators": [{"policyRef": {"namespace": "a", "name": "b"}, "stake": -1}]},
            "spec.validators[0].stake: -1 < 0; write at least 0",
            id="below the minimum, in a list",
        ),
        pytest.param(
            {"consensus": {"kappa": 65_536}}, "spec.consensus.kappa: 65536 > 65535; write at most 65535", id="above"
        ),
        pytest.param(
            {"consensus": {"kappa": 0.5}},
            "spec.consensus.kappa: 0.5 is a decimal number; write a whole number without quotes",
            id="fraction",
        ),
        pytest.param(
            {"consensus": {"kappa": True}}, "spec.consensus.kappa: True is true or false", id="truth for a number"
        ),
        pytest.param(
            {"consensus": {"algorithm": "Yuma4"}},
            "spec.consensus.algorithm: 'Yuma4' is unknown; write 'Yuma3' or 'Yuma2'",
            id="word that is not in the list",
        ),
        pytest.param(
            {"task": {"kind": "Tensor", "model": {"name": "x" * 129}}},
            "spec.task.model.name: has 129 characters; shorten it to 128",
            id="too long",
        ),
        pytest.param(
            {"task": {"kind": "Tensor", "model": {"name": ""}}},
            "spec.task.model.name: is too short; write at least 1 character",
            id="too short",
        ),
        pytest.param(
            {"validators": [{"policyRef": {"namespace": "a", "name": f"v{i}"}, "stake": 1} for i in range(257)]},
            "spec.validators: has 257 items; keep at most 256",
            id="too many",
        ),
    ],
)
def test_a_refusal_names_subject_field_expectation_and_remedy(change: dict[str, Any], problem: str) -> None:
    obj = object_named("the smallest subnet")
    obj |= {"metadata": {"namespace": "demo", "name": "embeddings"}, "spec": {**obj["spec"], **change}}
    with pytest.raises(InvalidObject) as refused:
        Subnet.parse(obj)
    assert len(refused.value.problems) == 1
    assert refused.value.problems[0].startswith(f"Subnet demo/embeddings: {problem}")


def test_all_problems_are_named_at_once() -> None:
    obj = object_named("the smallest subnet")
    obj["spec"] = {"task": {"kind": "Tensor"}, "suspend": 1, "consensus": {"kappa": -1}}
    with pytest.raises(InvalidObject) as refused:
        Subnet.parse(obj)
    assert len(refused.value.problems) == 3
    assert str(refused.value) == "\n".join(refused.value.problems)


def test_all_broken_rules_of_one_object_are_named_at_once() -> None:
    obj = object_named("a Service that already serves")
    obj["spec"] = {**obj["spec"], "gpus": {"count": 1}, "replicas": 2}
    with pytest.raises(InvalidObject) as refused:
        ModelDeployment.parse(obj)
    assert [problem.split(": ")[1] for problem in refused.value.problems] == ["spec.replicas", "spec.gpus"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        pytest.param({"kind": "ScoreReport"}, "kind: 'ScoreReport' is not 'Subnet'", id="another kind"),
        pytest.param({"apiVersion": "v1"}, "apiVersion: 'v1' is not 'assay.dev/v1alpha1'", id="another version"),
    ],
)
def test_another_kind_of_object_is_refused(change: dict[str, str], problem: str) -> None:
    with pytest.raises(InvalidObject, match=problem):
        Subnet.parse(object_named("the smallest subnet") | change)


def test_an_object_without_spec_is_refused() -> None:
    obj = object_named("the smallest subnet")
    del obj["spec"]
    with pytest.raises(InvalidObject, match="Subnet embeddings: spec: is required; add it"):
        Subnet.parse(obj)


@pytest.mark.parametrize(
    ("obj", "subject"),
    [
        ({}, "Subnet without metadata"),
        ({"metadata": 3}, "Subnet without metadata"),
        ({"metadata": {}}, "Subnet without name"),
        ({"metadata": {"generateName": "a-"}}, "Subnet a-"),
        ({"metadata": {"namespace": "demo", "name": "a"}}, "Subnet demo/a"),
    ],
)
def test_even_a_malformed_object_is_named(obj: dict[str, Any], subject: str) -> None:
    assert subject_of("Subnet", obj) == subject
    with pytest.raises(InvalidObject) as refused:
        Subnet.parse(obj)
    assert refused.value.subject == subject


def test_metadata_is_read_as_far_as_it_is_used() -> None:
    metadata = {
        "name": "embeddings",
        "namespace": "demo",
        "uid": "u-1",
        "resourceVersion": "7",
        "generation": 2,
        "creationTimestamp": "2026-11-24T20:15:00Z",
        "deletionTimestamp": "2026-11-24T21:15:00Z",
        "labels": {"a": "b"},
        "finalizers": ["assay.dev/members"],
        "managedFields": [{"manager": "kubectl"}],
        "ownerReferences": [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u-2"},
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "b", "uid": "u-3", "controller": True},
        ],
    }
    subnet = Subnet.parse(object_named("the smallest subnet") | {"metadata": metadata})
    assert str(subnet.metadata.namespaced_name) == "demo/embeddings"
    assert subnet.subject == "Subnet demo/embeddings"
    assert subnet.metadata.is_deleting
    assert subnet.metadata.generation == 2
    assert subnet.metadata.finalizers == ("assay.dev/members",)
    assert subnet.metadata.controller is not None
    assert subnet.metadata.controller.uid == "u-3"


def test_a_status_of_a_newer_version_is_read_as_far_as_it_is_known() -> None:
    status = {"observedGeneration": 3, "invented": {"a": 1}, "conditions": []}
    assert Subnet.parse(object_named("the smallest subnet") | {"status": status}).status == SubnetStatus(
        observed_generation=3
    )


def test_a_status_that_cannot_be_read_is_not_taken_for_an_empty_one() -> None:
    obj = object_named("the smallest subnet") | {"status": {"epoch": {"number": "forty"}}}
    with pytest.raises(InvalidObject, match=r"status\.epoch\.number: 'forty' is a string"):
        Subnet.parse(obj)


def test_the_status_of_a_subnet_with_4096_miners_stays_below_64_kib() -> None:
    column = base64.b64encode(bytes(2 * 4096)).decode()
    now = "2026-11-24T20:15:00Z"
    status = SubnetStatus(
        packed=PackedMiners(uids=column, consensus=column, incentive=column),
        validators=tuple(
            ValidatorStatus(uid=uid, namespace=f"validators-{uid}", name=f"validator-{uid}", object_uid="u" * 36)
            for uid in range(64)
        ),
        conditions=tuple(
            Condition(type=f"Type{n}", status="True", reason="Seen", message="m" * 256, last_transition_time=now)
            for n in range(5)
        ),
    )
    assert len(json.dumps(to_wire(status))) < 64 * 1024


def test_zero_is_written_and_absence_is_not() -> None:
    report = ScoreReport.parse(object_named("a report"))
    assert to_wire(report.spec.scores[1]) == {"uid": 1, "weight": 0, "samples": 0, "failures": 0, "qualityPpm": 0}


def test_models_are_frozen_all_the_way_down() -> None:
    subnet = Subnet.parse(next(case.obj for case in load("good") if str(case) == "Subnet: everything said"))
    assert isinstance(subnet.spec.validators, tuple)
    with pytest.raises(ValidationError, match="frozen"):
        subnet.spec.epoch.length = "1m"  # type: ignore[misc]
    assert isinstance(hash(subnet.spec.validators), int)


def test_models_built_in_python_keep_the_same_rules() -> None:
    with pytest.raises(ValidationError, match="low must not exceed high"):
        Subnet.parse(object_named("the smallest subnet")).spec.consensus.liquid_alpha.__class__(low=2, high=1)


def test_times_have_properties_in_seconds_and_milliseconds() -> None:
    subnet = Subnet.parse(object_named("the smallest subnet"))
    miner = ModelDeployment.parse(object_named("a miner of Triton pods"))
    assert (subnet.spec.epoch.length_s, subnet.spec.epoch.scoring_window_s) == (300.0, 120.0)
    assert (miner.spec.drain.pre_stop_s, miner.spec.drain.exit_timeout_s) == (10.0, 30.0)
