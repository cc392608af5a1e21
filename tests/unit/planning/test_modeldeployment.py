"""What a pass over a ModelDeployment does and says: children, names, failures, events, other ways to serve."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from assay.api import ModelDeployment
from assay.desired import triton as desired
from assay.planning.modeldeployment import Children, Probe, Snapshot, plan
from assay.planning.plan import Apply, Delete, Emit, Plan
from assay.planning.reasons import CONDITIONS, MEANINGS, DeploymentReason
from assay.planning.workload import SEVERITY
from deployments import (
    FACTS,
    UID,
    children,
    ended,
    endpoint,
    live,
    manifest,
    model_deployment,
    pod,
    service_ref,
    snapshot,
    waiting,
)

NOW = datetime(2026, 11, 24, 20, 0, 5, tzinfo=UTC)
SLICES: tuple[dict[str, Any], ...] = ({"endpoints": [{"conditions": {"ready": True}}]},)


def status_of(plan_: Plan) -> dict[str, Any]:
    assert plan_.status is not None
    return dict(plan_.status)


def conditions(seen: Snapshot) -> dict[str, tuple[str, str]]:
    return {it["type"]: (it["status"], it["reason"]) for it in status_of(plan(seen, NOW))["conditions"]}


def message(seen: Snapshot, type_: str) -> str:
    return next(it["message"] for it in status_of(plan(seen, NOW))["conditions"] if it["type"] == type_)


def applied(plan_: Plan) -> list[str]:
    return [effect.manifest["kind"] for effect in plan_.effects if isinstance(effect, Apply)]


def events(plan_: Plan) -> list[Emit]:
    return [effect for effect in plan_.effects if isinstance(effect, Emit)]


def again(seen: Snapshot, now: datetime = NOW) -> Snapshot:
    """The same, after the status of the pass was written."""
    written = manifest(status=json.loads(json.dumps(status_of(plan(seen, now)))))
    written["spec"] = seen.deployment.to_wire()["spec"]
    return replace(seen, deployment=ModelDeployment.parse(written))


def serving() -> Snapshot:
    deployment = model_deployment()
    return snapshot(deployment, children=children(deployment, ready=1), pods=(pod(ready=True),))


# ---- children


def test_a_new_deployment_gets_account_service_and_workload_in_this_order() -> None:
    assert applied(plan(snapshot(), NOW)) == ["ServiceAccount", "Service", "Deployment"]


def test_a_pass_over_what_is_as_wished_changes_nothing() -> None:
    first = plan(serving(), NOW)
    second = plan(again(serving()), NOW + timedelta(hours=1))
    assert second.status == first.status
    assert events(second) == []
    assert second.requeue_after_s is None


def test_an_object_on_its_way_out_is_left_to_the_garbage_collector() -> None:
    leaving = model_deployment(metadata={"deletionTimestamp": "2026-11-24T20:00:00Z"})
    assert plan(snapshot(leaving), NOW) == Plan()


@pytest.mark.parametrize("child", ["service_account", "deployment", "service"])
@pytest.mark.parametrize(
    "owners",
    [
        pytest.param([], id="nobody's"),
        pytest.param([{"controller": True, "uid": "another"}], id="another's"),
        pytest.param([{"controller": False, "uid": UID}], id="not controlled by us"),
    ],
)
def test_an_object_of_a_childs_name_that_is_not_ours_is_not_taken_over(child: str, owners: list[Any]) -> None:
    deployment = model_deployment()
    there = children(deployment)
    getattr(there, child)["metadata"]["ownerReferences"] = owners
    seen = snapshot(deployment, children=there)
    decided = plan(seen, NOW)
    assert applied(decided) == []
    assert conditions(seen)["Ready"] == ("False", "NameTaken")
    assert decided.requeue_after_s is not None


def test_children_of_a_deployment_that_turned_to_an_endpoint_are_deleted_by_uid() -> None:
    there = children(model_deployment())
    decided = plan(snapshot(model_deployment(endpoint()), children=there), NOW)
    deleted = [effect for effect in decided.effects if isinstance(effect, Delete)]
    assert [(it.kind, it.name, it.uid) for it in deleted] == [
        ("Deployment", "minilm-triton", "Deployment-uid"),
        ("Service", "minilm-triton", "Service-uid"),
        ("ServiceAccount", "minilm-triton", "ServiceAccount-uid"),
    ]


def test_what_is_not_ours_is_not_deleted_either() -> None:
    foreign = Children(service={"metadata": {"name": "minilm-triton", "uid": "x"}})
    decided = plan(snapshot(model_deployment(endpoint()), children=foreign), NOW)
    assert not [effect for effect in decided.effects if isinstance(effect, Delete)]


def test_the_default_image_stays_when_the_operators_default_changes() -> None:
    deployment = model_deployment()
    newer = replace(FACTS, triton_image="nvcr.io/nvidia/tritonserver:27.01-py3")
    seen = snapshot(deployment, facts=newer, children=children(deployment, ready=1), pods=(pod(ready=True),))
    workload = next(
        it.manifest for it in plan(seen, NOW).effects if isinstance(it, Apply) and it.manifest["kind"] == "Deployment"
    )
    assert workload["spec"]["template"]["spec"]["containers"][0]["image"] == FACTS.triton_image
    assert conditions(seen)["Ready"] == ("True", "AllReplicasReady")


def test_the_owners_image_takes_the_place_of_the_default() -> None:
    before, after = (
        model_deployment(),
        model_deployment({"triton": {**manifest()["spec"]["triton"], "image": "mine:2"}}),
    )
    seen = snapshot(after, children=children(before, ready=1), pods=(pod(ready=True),))
    assert conditions(seen)["Ready"] == ("False", "ReplicasUpdating")


# ---- specs that cannot be carried out


def test_a_pod_template_that_would_break_the_pod_is_refused_and_what_runs_is_left_running() -> None:
    broken = model_deployment({"podTemplate": {"spec": {"hostNetwork": True}}})
    seen = snapshot(broken, children=children(model_deployment(), ready=1), pods=(pod(ready=True),))
    assert conditions(seen)["Accepted"] == ("False", "InvalidSpec")
    assert conditions(seen)["Ready"] == ("False", "InvalidSpec")
    assert conditions(seen)["Servable"] == ("True", "Serving")
    assert message(seen, "Accepted").startswith("ModelDeployment miners/minilm: spec.podTemplate.spec.hostNetwork: ")
    assert applied(plan(seen, NOW)) == []


def test_arguments_that_would_hide_a_broken_model_are_refused() -> None:
    triton = {**manifest()["spec"]["triton"], "args": ["--log-verbose=1", "--exit-on-error=false", "--unload-model=x"]}
    seen = snapshot(model_deployment({"triton": triton}))
    told = message(seen, "Accepted")
    assert "spec.triton.args[1]: --exit-on-error: " in told
    assert "spec.triton.args[2]: --unload-model: " in told
    assert applied(plan(seen, NOW)) == []


# ---- status


def test_the_status_of_a_serving_deployment_has_counts_addresses_and_selector() -> None:
    status = status_of(plan(serving(), NOW))
    del status["conditions"]
    host = "minilm-triton.miners.svc.cluster.local"
    assert status == {
        "observedGeneration": 3,
        "replicas": 1,
        "readyReplicas": 1,
        "updatedReplicas": 1,
        "selector": "assay.dev/kind=ModelDeployment,assay.dev/name=minilm",
        "addresses": {
            "grpc": f"grpc://{host}:8001",
            "http": f"http://{host}:8000",
            "metrics": f"http://{host}:8002/metrics",
        },
        "modelStatus": {"state": "Loaded"},
    }


def crashing(log: str = "boom", finished: str = "2026-11-24T19:59:00Z") -> Snapshot:
    deployment = model_deployment()
    record = ended(1, log=log) | {"finishedAt": finished}
    state = waiting("CrashLoopBackOff") | {"lastState": {"terminated": record}}
    return snapshot(deployment, children=children(deployment), pods=(pod(state=state),))


def test_the_last_failure_has_exit_code_and_the_time_of_the_crash() -> None:
    assert status_of(plan(crashing(), NOW))["modelStatus"]["lastFailure"] == {
        "reason": "CrashLoop",
        "message": "container triton ended with exit code 1; its last words: boom",
        "exitCode": 1,
        "time": "2026-11-24T19:59:00Z",
    }


def test_the_last_failure_is_remembered_when_the_model_serves_again() -> None:
    remembered = again(crashing()).deployment.status
    recovered = serving()
    seen = replace(recovered, deployment=recovered.deployment.model_copy(update={"status": remembered}))
    status = status_of(plan(seen, NOW))
    assert status["modelStatus"]["state"] == "Loaded"
    assert status["modelStatus"]["lastFailure"]["reason"] == "CrashLoop"


def test_a_failure_without_a_time_of_its_own_keeps_the_time_it_was_first_seen() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment), pods=(pod(state=waiting("ErrImagePull", "no")),))
    later = status_of(plan(again(seen), NOW + timedelta(minutes=5)))
    assert later == status_of(plan(seen, NOW))


def test_a_stage_of_starting_is_no_failure() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment), pods=(pod(),))
    assert "lastFailure" not in status_of(plan(seen, NOW))["modelStatus"]


# ---- events


def test_an_event_tells_that_the_model_is_served() -> None:
    assert events(plan(serving(), NOW)) == [Emit("Normal", "AllReplicasReady", "the model is served")]


def test_an_event_tells_of_a_failure_once() -> None:
    assert [(it.type, it.reason) for it in events(plan(crashing(), NOW))] == [("Warning", "CrashLoop")]
    assert events(plan(again(crashing()), NOW)) == []


def test_no_event_tells_of_a_stage() -> None:
    assert events(plan(snapshot(), NOW)) == []


# ---- endpoints


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(None, ("Unknown", "ProbePending"), id="not asked yet"),
        pytest.param(Probe("Ready"), ("True", "Serving"), id="ready"),
        pytest.param(Probe("Unreachable", "no answer in 3 s"), ("False", "Unreachable"), id="silent"),
        pytest.param(Probe("ModelUnavailable", "x"), ("False", "ModelUnavailable"), id="model not loaded"),
        pytest.param(Probe("ModelMismatch", "x"), ("False", "ModelMismatch"), id="another model"),
        pytest.param(Probe("ProtocolError", "x"), ("False", "ProtocolError"), id="not Triton"),
        pytest.param(Probe("Refused", "127.0.0.1 is loopback"), ("False", "InvalidSpec"), id="a forbidden address"),
    ],
)
def test_an_endpoint_is_ready_exactly_if_its_probe_says_so(probe: Probe | None, expected: tuple[str, str]) -> None:
    seen = snapshot(model_deployment(endpoint()), probe=probe)
    assert conditions(seen)["Ready"] == expected
    decided = plan(seen, NOW)
    assert applied(decided) == []
    assert decided.requeue_after_s is not None
    assert 10 <= decided.requeue_after_s < 12


def test_a_server_that_is_being_asked_is_looked_at_again_soon() -> None:
    assert plan(snapshot(model_deployment(endpoint()), is_probing=True), NOW).requeue_after_s == 0.5


def test_a_forbidden_address_names_the_field() -> None:
    seen = snapshot(model_deployment(endpoint()), probe=Probe("Refused", "127.0.0.1 is a loopback address"))
    assert "spec.endpoint.url: 127.0.0.1 is a loopback address" in message(seen, "Accepted")


def test_a_server_that_was_asked_without_its_secrets_is_told_to_be() -> None:
    spec = endpoint("grpcs://miner.example:443")
    spec["endpoint"]["tokenSecretRef"] = {"name": "token", "key": "token"}
    seen = snapshot(model_deployment(spec), probe=Probe("ProtocolError", "401"))
    assert "asked without tokenSecretRef" in message(seen, "ModelAvailable")


def test_a_pass_over_an_endpoint_that_stays_silent_changes_nothing() -> None:
    seen = snapshot(model_deployment(endpoint()), probe=Probe("Unreachable", "no answer within 3 s"))
    assert plan(again(seen), NOW + timedelta(minutes=1)).status == plan(seen, NOW).status


@pytest.mark.parametrize(
    ("url", "addresses"),
    [
        ("grpcs://miner.example:443", {"grpc": "grpcs://miner.example:443"}),
        ("https://miner.example/prefix", {"http": "https://miner.example/prefix"}),
    ],
)
def test_an_endpoints_address_is_the_one_given(url: str, addresses: dict[str, str]) -> None:
    assert status_of(plan(snapshot(model_deployment(endpoint(url))), NOW))["addresses"] == addresses


def test_a_suspended_endpoint_takes_no_traffic_and_is_not_asked_again() -> None:
    seen = snapshot(model_deployment(endpoint(suspend=True)), probe=Probe("Ready"))
    assert conditions(seen)["Ready"] == ("False", "Suspended")
    assert plan(seen, NOW).requeue_after_s is None


# ---- adopted Services


@pytest.mark.parametrize(
    ("slices", "probe", "expected"),
    [
        pytest.param((), Probe("Unreachable", "x"), ("False", "ServiceNotFound"), id="no such Service"),
        pytest.param(({"endpoints": [{"conditions": {"ready": False}}]},), Probe("Ready"), ("False", "NoEndpoints"),
                     id="nothing ready behind it"),
        pytest.param(({"endpoints": None},), Probe("Ready"), ("False", "NoEndpoints"), id="nothing behind it"),
        pytest.param(({"endpoints": [{}]},), Probe("Ready"), ("True", "Serving"), id="an endpoint of unsaid state"),
        pytest.param(SLICES, None, ("Unknown", "ProbePending"), id="not asked yet"),
        pytest.param(SLICES, Probe("Unreachable", "x"), ("False", "Unreachable"), id="silent"),
        pytest.param(SLICES, Probe("Refused", "x"), ("False", "InvalidSpec"), id="an address that is not allowed"),
        pytest.param(SLICES, Probe("Ready"), ("True", "Serving"), id="ready"),
    ],
)  # fmt: skip
def test_an_adopted_service_is_ready_exactly_if_it_has_endpoints_and_its_probe_says_so(
    slices: tuple[Any, ...], probe: Probe | None, expected: tuple[str, str]
) -> None:
    seen = snapshot(model_deployment(service_ref()), endpoint_slices=slices, probe=probe)
    assert conditions(seen)["Ready"] == expected
    assert applied(plan(seen, NOW)) == []


def test_the_address_of_an_adopted_service_is_its_name() -> None:
    seen = snapshot(model_deployment(service_ref(port=9000)))
    assert status_of(plan(seen, NOW))["addresses"] == {"grpc": "grpc://nim.miners.svc.cluster.local:9000"}


# ---- the closed set


def test_every_reason_is_explained_and_every_condition_is() -> None:
    assert set(MEANINGS) == set(DeploymentReason)
    assert list(CONDITIONS) == [
        "Ready", "Accepted", "WorkloadReady", "ModelAvailable", "Servable", "Progressing", "Registered", "Scored",
    ]  # fmt: skip


def test_every_trouble_has_its_rank() -> None:
    assert len(set(SEVERITY)) == len(SEVERITY)


def test_children_are_named_apart_from_what_may_be_there_already() -> None:
    assert desired.child_name("default") == "default-triton"
    assert live(desired.service_account(model_deployment(name="default")))["metadata"]["name"] == "default-triton"
