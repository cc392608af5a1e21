"""Laws of the ModelDeployment planner over random snapshots."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from assay.api import ModelDeployment
from assay.planning.modeldeployment import Probe, Snapshot, plan
from assay.planning.plan import Apply, Emit
from assay.planning.reasons import CONDITIONS, DeploymentReason
from deployments import (
    NAMESPACE,
    UID,
    children,
    ended,
    endpoint,
    manifest,
    model_deployment,
    pod,
    row,
    service_ref,
    snapshot,
    subnet,
    unscheduled,
    waiting,
)

NOW = datetime(2026, 11, 24, 20, 0, 5, tzinfo=UTC)

STATES: list[dict[str, Any]] = [
    {},
    {"started": True},
    waiting("ErrImagePull", "gone"),
    waiting("CreateContainerError", "bad"),
    waiting("ContainerCreating"),
    waiting("CrashLoopBackOff") | {"lastState": {"terminated": ended(1, log="error: creating server: no")}},
    {"state": {"terminated": ended(137, reason="OOMKilled")}},
]
pods = st.lists(
    st.one_of(
        st.builds(lambda number: pod(number, ready=True), st.integers(0, 9)),
        st.builds(lambda number, state: pod(number, state=state), st.integers(0, 9), st.sampled_from(STATES)),
        st.builds(lambda number: pod(number, status=unscheduled("no node")), st.integers(0, 9)),
        st.builds(lambda number: pod(number, ready=True, metadata={"deletionTimestamp": "x"}), st.integers(0, 9)),
    ),
    max_size=4,
)
specs = st.sampled_from(
    [
        {},
        {"replicas": 3},
        {"replicas": 0},
        {"suspend": True},
        {"gpus": {"count": 1}},
        {"podTemplate": {"spec": {"hostPID": True}}},
        {"subnetRef": {"namespace": "demo", "name": "embeddings"}},
        endpoint(),
        endpoint(suspend=True),
        service_ref(),
    ]
)
probes = st.sampled_from([None, Probe("Ready"), Probe("Unreachable", "silent"), Probe("Refused", "loopback")])
subnets = st.sampled_from([None, subnet(), subnet(miners=[row(validators=2, score="0.5")], committed=4)])
slices = st.sampled_from([(), ({"endpoints": [{"conditions": {"ready": True}}]},), ({"endpoints": []},)])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    deployment, applied = model_deployment(draw(specs)), model_deployment(draw(st.sampled_from([{}, {"replicas": 3}])))
    there = children(
        applied,
        ready=draw(st.integers(0, 4)),
        total=draw(st.integers(0, 4)),
        observedGeneration=draw(st.sampled_from([0, 1])),
    )
    return snapshot(
        deployment,
        children=draw(st.sampled_from([there, snapshot().children])),
        pods=tuple(draw(pods)),
        probe=draw(probes),
        subnet=draw(subnets),
        endpoint_slices=draw(slices),
    )


def status_of(seen: Snapshot, now: datetime = NOW) -> dict[str, Any]:
    status = plan(seen, now).status
    assert status is not None
    return dict(status)


def conditions(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {it["type"]: it for it in status["conditions"]}


@settings(deadline=None, max_examples=200)
@given(snapshots())
def test_a_status_is_complete_ordered_bounded_and_of_the_closed_set(seen: Snapshot) -> None:
    status = status_of(seen)
    types = [it["type"] for it in status["conditions"]]
    wished = list(CONDITIONS) if seen.deployment.spec.subnet_ref else list(CONDITIONS)[:6]
    assert types == wished
    assert {it["reason"] for it in status["conditions"]} <= {reason.value for reason in DeploymentReason}
    assert all(it["observedGeneration"] == 3 for it in status["conditions"])
    assert len(json.dumps(status)) < 16_000
    ModelDeployment.parse(manifest(status=status))


@settings(deadline=None, max_examples=200)
@given(snapshots())
def test_ready_means_that_all_its_parts_hold_and_that_something_serves(seen: Snapshot) -> None:
    status = status_of(seen)
    found = {type_: it["status"] for type_, it in conditions(status).items()}
    parts = {found[type_] for type_ in ("Accepted", "WorkloadReady", "ModelAvailable", "Servable")}
    assert (found["Ready"] == "True") == (parts == {"True"})
    if found["Ready"] == "True" and seen.deployment.spec.triton is not None:
        ready = [it for it in seen.pods if "deletionTimestamp" not in it["metadata"]]
        assert len(ready) >= status["readyReplicas"] >= seen.deployment.spec.replicas > 0
    if found["Ready"] == "True" and seen.deployment.spec.triton is None:
        assert seen.probe == Probe("Ready")


@settings(deadline=None, max_examples=200)
@given(snapshots(), st.integers(0, 10**6))
def test_a_second_pass_over_the_same_world_writes_nothing_and_tells_nothing(seen: Snapshot, later_s: int) -> None:
    first = plan(seen, NOW)
    written = manifest(status=json.loads(json.dumps(status_of(seen))))
    written["spec"] = seen.deployment.to_wire()["spec"]
    settled = Snapshot(**{**vars(seen), "deployment": ModelDeployment.parse(written)})
    second = plan(settled, NOW + timedelta(seconds=later_s))
    assert second.status == first.status
    assert not [effect for effect in second.effects if isinstance(effect, Emit)]
    assert second.effects == tuple(effect for effect in first.effects if not isinstance(effect, Emit))


@settings(deadline=None, max_examples=200)
@given(snapshots())
def test_every_effect_stays_in_the_owners_namespace_and_carries_its_mark(seen: Snapshot) -> None:
    for effect in plan(seen, NOW).effects:
        if isinstance(effect, Apply):
            metadata = effect.manifest["metadata"]
            assert metadata["namespace"] == NAMESPACE
            assert metadata["labels"]["app.kubernetes.io/managed-by"] == "assay"
            assert metadata["ownerReferences"][0]["uid"] == UID
