"""What a pass over a ModelDeployment reads from the caches, and what it leaves alone."""

import asyncio
from typing import Any

import pytest

from assay.api import InvalidObject
from assay.controllers.modeldeployment import ModelDeploymentController
from assay.controllers.stores import make_stores
from assay.kube.store import Store
from assay.planning.modeldeployment import Snapshot
from assay.triton.probe import Answer, Prober, Result, Target
from deployments import FACTS, NAME, NAMESPACE, endpoint, live, manifest, model_deployment, pod, service_ref, subnet
from deployments import children as children_of

KEY = (NAMESPACE, NAME)
LABELS = {"app.kubernetes.io/managed-by": "assay", "assay.dev/kind": "ModelDeployment", "assay.dev/name": NAME}


class Recorded(Prober):
    """A prober whose answer is given, and that notes what was asked."""

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__()
        self.asked: list[Target] = []
        self._answer = answer or Answer(None, is_pending=True)

    def latest(self, key: object, target: Target) -> Answer:
        self.asked.append(target)
        return self._answer


def put(stores: dict[str, Store], plural: str, *objects: dict[str, Any]) -> None:
    for obj in objects:
        stores[plural].apply_event(
            "ADDED", {**obj, "metadata": {"resourceVersion": "1", "uid": "u", **obj["metadata"]}}
        )


def gather(stores: dict[str, Store], prober: Prober | None = None) -> Snapshot | None:
    async def run() -> Snapshot | None:
        return await ModelDeploymentController(stores, prober or Recorded(), FACTS).gather(KEY)

    return asyncio.run(run())


@pytest.fixture
def stores() -> dict[str, Store]:
    return make_stores()


def test_an_object_that_is_gone_gives_nothing(stores: dict[str, Store]) -> None:
    assert gather(stores) is None


def test_an_object_that_cannot_be_read_is_said_to_be_so(stores: dict[str, Store]) -> None:
    put(stores, "modeldeployments", manifest({"model": None}))
    with pytest.raises(InvalidObject, match=r"spec\.model"):
        gather(stores)


def test_children_and_pods_are_those_of_this_deployment(stores: dict[str, Store]) -> None:
    wished = children_of(model_deployment())
    put(stores, "modeldeployments", manifest())
    put(stores, "deployments", dict(wished.deployment or {}))
    put(stores, "services", dict(wished.service or {}))
    put(stores, "serviceaccounts", dict(wished.service_account or {}))
    put(stores, "pods", pod(0, metadata={"labels": LABELS}), pod(1, metadata={"labels": LABELS, "namespace": "other"}))
    put(stores, "pods", pod(2, metadata={"labels": {**LABELS, "assay.dev/name": "other"}}))
    seen = gather(stores)
    assert seen is not None
    assert seen.children.deployment is not None
    assert seen.children.deployment["metadata"]["name"] == "minilm-triton"
    assert seen.children.service is not None
    assert seen.children.service_account is not None
    assert [it["metadata"]["name"] for it in seen.pods] == ["minilm-triton-0"]
    assert seen.probe is None


def test_pods_of_our_own_are_not_asked(stores: dict[str, Store]) -> None:
    put(stores, "modeldeployments", manifest())
    prober = Recorded()
    gather(stores, prober)
    assert prober.asked == []


@pytest.mark.parametrize(
    ("spec", "url"),
    [
        pytest.param(endpoint("https://miner.example/v1"), "https://miner.example/v1", id="an endpoint"),
        pytest.param(service_ref("nim", 9000), "grpc://nim.miners.svc.cluster.local:9000", id="a Service"),
    ],
)
def test_a_server_elsewhere_is_asked_for_its_model(stores: dict[str, Store], spec: dict[str, Any], url: str) -> None:
    put(stores, "modeldeployments", manifest(spec))
    prober = Recorded(Answer(Result("Unreachable", "silent"), is_pending=True))
    seen = gather(stores, prober)
    assert prober.asked == [Target(url, "minilm", "1")]
    assert seen is not None
    assert seen.probe is not None
    assert (seen.probe.outcome, seen.probe.message, seen.is_probing) == ("Unreachable", "silent", True)


def test_a_suspended_server_is_not_asked(stores: dict[str, Store]) -> None:
    put(stores, "modeldeployments", manifest(endpoint(suspend=True)))
    prober = Recorded()
    seen = gather(stores, prober)
    assert prober.asked == []
    assert seen is not None
    assert not seen.is_probing


def test_the_endpoints_of_an_adopted_service_are_those_of_its_name_and_namespace(stores: dict[str, Store]) -> None:
    put(stores, "modeldeployments", manifest(service_ref("nim")))

    def piece(name: str, namespace: str, service: str) -> dict[str, Any]:
        labels = {"kubernetes.io/service-name": service}
        return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "endpoints": []}

    put(stores, "endpointslices", piece("a", NAMESPACE, "nim"), piece("b", NAMESPACE, "other"), piece("c", "x", "nim"))
    put(stores, "endpointslices", {"metadata": {"name": "d", "namespace": NAMESPACE}})
    seen = gather(stores)
    assert seen is not None
    assert [it["metadata"]["name"] for it in seen.endpoint_slices] == ["a"]


def test_the_subnet_and_the_namespaces_labels_are_looked_up(stores: dict[str, Store]) -> None:
    put(stores, "modeldeployments", manifest({"subnetRef": {"namespace": "demo", "name": "embeddings"}}))
    put(stores, "subnets", subnet().to_wire())
    put(stores, "namespaces", {"metadata": {"name": NAMESPACE, "labels": {"market": "a"}}})
    seen = gather(stores)
    assert seen is not None
    assert seen.subnet is not None
    assert seen.namespace_labels == {"market": "a"}


def test_a_subnet_that_cannot_be_read_counts_as_none(stores: dict[str, Store]) -> None:
    broken = subnet().to_wire()
    del broken["spec"]["task"]
    put(stores, "modeldeployments", manifest({"subnetRef": {"namespace": "demo", "name": "embeddings"}}))
    put(stores, "subnets", broken)
    seen = gather(stores)
    assert seen is not None
    assert seen.subnet is None


def test_a_live_child_is_found_by_its_name_whoever_owns_it(stores: dict[str, Store]) -> None:
    foreign = live(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "minilm-triton", "namespace": NAMESPACE}}
    )
    put(stores, "modeldeployments", manifest())
    put(stores, "services", foreign)
    seen = gather(stores)
    assert seen is not None
    assert seen.children.service is not None
