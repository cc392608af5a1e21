"""Registered, Scored and what is mirrored from the Subnet; none of it touches Ready or the pods."""

from datetime import UTC, datetime
from typing import Any

import pytest

from assay.planning.modeldeployment import Snapshot, plan
from deployments import children, model_deployment, pod, row, snapshot, subnet

NOW = datetime(2026, 11, 24, 20, 0, 5, tzinfo=UTC)
JOINS = {"subnetRef": {"namespace": "demo", "name": "embeddings"}}
OPEN = {"members": {"allowedNamespaces": {"from": "All"}}}
LABELLED = {"members": {"allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"market": "a"}}}}}


def member(**fields: Any) -> Snapshot:
    deployment = model_deployment(JOINS | fields.pop("spec", {}))
    return snapshot(deployment, **({"children": children(deployment, ready=1), "pods": (pod(ready=True),)} | fields))


def status_of(seen: Snapshot) -> dict[str, Any]:
    status = plan(seen, NOW).status
    assert status is not None
    return dict(status)


def condition(seen: Snapshot, type_: str) -> tuple[str, str]:
    found = next(it for it in status_of(seen)["conditions"] if it["type"] == type_)
    return found["status"], found["reason"]


@pytest.mark.parametrize(
    ("fields", "registered", "scored"),
    [
        pytest.param({}, ("False", "SubnetNotFound"), ("False", "NotRegistered"), id="no such subnet"),
        pytest.param({"subnet": subnet()}, ("False", "NotAllowed"), ("False", "NotRegistered"),
                     id="a subnet for its own namespace"),
        pytest.param({"subnet": subnet(**LABELLED)}, ("False", "NotAllowed"), ("False", "NotRegistered"),
                     id="a namespace without the label"),
        pytest.param({"subnet": subnet(**LABELLED), "namespace_labels": {"market": "a"}},
                     ("False", "WaitingForEpoch"), ("False", "NotRegistered"), id="a namespace with the label"),
        pytest.param({"subnet": subnet(**OPEN)}, ("False", "WaitingForEpoch"), ("False", "NotRegistered"),
                     id="before the next epoch opens"),
        pytest.param({"subnet": subnet(members={"maxMiners": 1, "allowedNamespaces": {"from": "All"}},
                                       miners=[row(objectUid="another", name="other")])},
                     ("False", "SubnetFull"), ("False", "NotRegistered"), id="a full subnet"),
        pytest.param({"subnet": subnet(miners=[row(objectUid="the-one-before")], **OPEN)},
                     ("False", "WaitingForEpoch"), ("False", "NotRegistered"), id="the row of a deleted namesake"),
        pytest.param({"subnet": subnet(miners=[row()], **OPEN)}, ("True", "Registered"), ("False", "WaitingForEpoch"),
                     id="registered, nothing committed"),
        pytest.param({"subnet": subnet(miners=[row(registeredEpoch=8)], committed=7, **OPEN)},
                     ("True", "Registered"), ("False", "WaitingForEpoch"), id="registered after the last commit"),
        pytest.param({"subnet": subnet(miners=[row()], committed=7, **OPEN)},
                     ("True", "Registered"), ("False", "NoReports"), id="nobody reported"),
        pytest.param({"subnet": subnet(miners=[row(validators=0)], committed=7, **OPEN)},
                     ("True", "Registered"), ("False", "NoReports"), id="no report counted"),
        pytest.param({"subnet": subnet(miners=[row(validators=3, weight=0)], committed=7, **OPEN)},
                     ("True", "Registered"), ("True", "Scored"), id="scored with nothing"),
    ],
)  # fmt: skip
def test_the_place_in_the_subnet_is_told(fields: dict[str, Any], registered: Any, scored: Any) -> None:
    seen = member(**fields)
    assert condition(seen, "Registered") == registered
    assert condition(seen, "Scored") == scored
    assert condition(seen, "Ready") == ("True", "AllReplicasReady"), "scoring never feeds Ready"


def test_membership_and_consensus_are_mirrored_zeros_included() -> None:
    given = {"weight": 31022, "incentive": 0, "emission": 0, "score": "0.999871", "validators": 3}
    status = status_of(member(subnet=subnet(miners=[row(5, **given)], committed=40, **OPEN)))
    assert status["membership"] == {"subnet": "demo/embeddings", "uid": 5, "registeredEpoch": 1}
    assert status["consensus"] == {"epoch": 40, **given}


def test_a_miner_that_no_epoch_scored_has_no_consensus() -> None:
    status = status_of(member(subnet=subnet(miners=[row(registeredEpoch=41)], committed=40, **OPEN)))
    assert "consensus" not in status
    assert status["membership"]["registeredEpoch"] == 41


def test_a_deployment_without_a_subnet_has_neither_conditions_nor_blocks() -> None:
    status = status_of(snapshot(subnet=None))
    assert {"membership", "consensus"}.isdisjoint(status)
    assert {"Registered", "Scored"}.isdisjoint(it["type"] for it in status["conditions"])


def test_a_miner_of_another_model_than_the_subnet_asks_for_is_told_so() -> None:
    seen = member(spec={"model": {"name": "other", "version": "1"}}, subnet=subnet(miners=[row()], **OPEN))
    told = next(it["message"] for it in status_of(seen)["conditions"] if it["type"] == "Registered")
    assert "the subnet asks for minilm version 1, not for other version 1" in told


def test_weights_change_neither_children_nor_pods() -> None:
    before = plan(member(subnet=subnet(miners=[row(weight=1, validators=3)], committed=40, **OPEN)), NOW)
    after = plan(member(subnet=subnet(miners=[row(weight=60000, validators=3)], committed=41, **OPEN)), NOW)
    assert before.effects == after.effects
    assert before.status != after.status
