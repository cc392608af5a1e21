"""What the API server does to our managedFields entry, and what the drift rule built on it sees.

The rule must not miss drift, and must not imagine any.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

import waiting
from assay.kube import auth, errors
from assay.kube.client import KubeClient
from assay.kube.drift import DriftTracker, Reason
from assay.kube.informer import Informer
from assay.kube.resources import DEPLOYMENTS, Object, ObjectRef, key_of
from assay.kube.store import Store
from cluster import LocalCluster

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]

OURS = "assay"


def deployment(
    namespace: str, *, image: str = "any/thing:1", replicas: int = 1, cpu: str = "1000m", memory: str = "1024Mi"
) -> Object:
    """A Deployment whose quantities and defaults the server rewrites, so that comparing fields would see drift."""
    labels = {"app": "toy"}
    container = {
        "name": "main",
        "image": image,
        "resources": {"requests": {"cpu": cpu, "memory": memory}},
        "ports": [{"containerPort": 8001, "name": "grpc"}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "toy", "labels": labels},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


@dataclass
class Scene:
    """A Deployment applied once, a cache that watches it, and the tracker that judges."""

    client: KubeClient
    store: Store
    tracker: DriftTracker
    manifest: Object
    cluster: LocalCluster
    version: str

    @property
    def namespace(self) -> str:
        return str(self.manifest["metadata"]["namespace"])

    def reason(self) -> Reason | None:
        return self.tracker.reason_to_apply(self.manifest, self.store.seen(key_of(self.manifest)))

    async def apply(self) -> None:
        answer = await self.client.apply(self.manifest, field_manager=OURS)
        self.tracker.applied(self.manifest, answer)
        self.version = answer["metadata"]["resourceVersion"]

    async def seen_up_to(self, version: str) -> None:
        await waiting.until(lambda: int(self.store.resource_version) >= int(version), what="the cache catches up")

    async def by_kubectl(self, *argv: str) -> None:
        await asyncio.to_thread(self.cluster.kubectl, "-n", self.namespace, *argv)
        current = await self.client.get(DEPLOYMENTS, self.namespace, "toy")
        await self.seen_up_to(current["metadata"]["resourceVersion"])

    async def patched(self, patch: Object, manager: str = "someone") -> None:
        ref = ObjectRef.of(self.manifest)
        answer = await self.client.patch_merge(ref, patch, field_manager=manager)
        await self.seen_up_to(answer["metadata"]["resourceVersion"])


@pytest_asyncio.fixture
async def scene(kubeconfig: Path, cluster: LocalCluster, namespace: str) -> AsyncIterator[Scene]:
    async with KubeClient(await auth.load(kubeconfig)) as client, watching(client, namespace) as store:
        scene = Scene(client, store, DriftTracker(OURS), deployment(namespace), cluster, "0")
        await scene.apply()
        # The controller manager writes the status; what is judged must be a Deployment at rest.
        await waiting.until(lambda: settled(store, scene), 20, "the Deployment is at rest")
        yield scene


@asynccontextmanager
async def watching(client: KubeClient, namespace: str) -> AsyncIterator[Store]:
    store = Store(manager=OURS)
    informer = Informer(client, DEPLOYMENTS, store, namespace=namespace)
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    yield store
    task.cancel()
    await asyncio.wait({task})


def settled(store: Store, scene: Scene) -> bool:
    seen = store.get(key_of(scene.manifest))
    return seen is not None and seen.get("status", {}).get("readyReplicas") == seen["spec"]["replicas"]


async def test_at_rest_there_is_no_reason_to_apply(scene: Scene) -> None:
    assert scene.reason() is None


async def test_a_status_written_by_others_is_no_drift(scene: Scene) -> None:
    before = scene.version
    await scene.by_kubectl("rollout", "restart", "deployment/toy")
    await waiting.until(lambda: settled(scene.store, scene), 20)
    seen = scene.store.seen(key_of(scene.manifest))
    assert seen.object is not None
    assert seen.object["metadata"]["resourceVersion"] != before
    assert scene.reason() is None


Change = Callable[[Scene], Awaitable[None]]


async def update_a_field_of_ours(scene: Scene) -> None:
    await scene.by_kubectl("set", "image", "deployment/toy", "main=other/thing:2")


async def force_apply_a_field_of_ours(scene: Scene) -> None:
    theirs = {**deployment(scene.namespace, image="other/thing:3")}
    answer = await scene.client.apply(theirs, field_manager="rival")
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])


async def remove_a_field_of_ours(scene: Scene) -> None:
    path = "/spec/template/spec/containers/0/resources"
    answer = await scene.client.patch_json(ObjectRef.of(scene.manifest), [{"op": "remove", "path": path}])
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])


async def remove_an_item_of_a_list_of_ours(scene: Scene) -> None:
    path = "/spec/template/spec/containers/0/env/1"
    answer = await scene.client.patch_json(ObjectRef.of(scene.manifest), [{"op": "remove", "path": path}])
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])


async def change_a_field_and_change_it_back(scene: Scene) -> None:
    await scene.by_kubectl("set", "image", "deployment/toy", "main=other/thing:4")
    await scene.by_kubectl("set", "image", "deployment/toy", "main=any/thing:1")


async def scale_by_the_subresource(scene: Scene) -> None:
    await scene.by_kubectl("scale", "deployment/toy", "--replicas=3")


async def remove_a_label_of_ours(scene: Scene) -> None:
    await scene.by_kubectl("label", "deployment/toy", "app-")


@pytest.mark.parametrize(
    "change",
    [
        update_a_field_of_ours,
        force_apply_a_field_of_ours,
        remove_a_field_of_ours,
        remove_an_item_of_a_list_of_ours,
        change_a_field_and_change_it_back,
        scale_by_the_subresource,
        remove_a_label_of_ours,
    ],
    ids=lambda change: change.__name__.replace("_", " "),
)
async def test_drift_is_seen_and_one_apply_ends_it(scene: Scene, change: Change) -> None:
    await change(scene)
    assert scene.reason() == "drifted"
    await scene.apply()
    await scene.seen_up_to(scene.version)
    assert scene.reason() is None
    repaired = await scene.client.get(DEPLOYMENTS, scene.namespace, "toy")
    container = repaired["spec"]["template"]["spec"]["containers"][0]
    assert (container["image"], repaired["spec"]["replicas"]) == ("any/thing:1", 1)
    assert container["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}
    assert [e["name"] for e in container["env"]] == ["A", "B"]
    assert repaired["metadata"]["labels"] == {"app": "toy"}


async def add_what_we_do_not_own(scene: Scene) -> None:
    await scene.by_kubectl("annotate", "deployment/toy", "team=search")
    await scene.by_kubectl("label", "deployment/toy", "team=search")


async def set_a_field_we_left_to_its_default(scene: Scene) -> None:
    await scene.patched({"spec": {"progressDeadlineSeconds": 123}})


async def update_with_nothing_new(scene: Scene) -> None:
    await scene.by_kubectl("set", "image", "deployment/toy", "main=any/thing:1")
    await scene.by_kubectl("scale", "deployment/toy", "--replicas=1")


async def apply_the_same_values_as_another_manager(scene: Scene) -> None:
    same = deployment(scene.namespace, cpu="1", memory="1Gi")
    answer = await scene.client.apply(same, field_manager="rival")
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])


async def add_an_item_to_a_list_of_ours(scene: Scene) -> None:
    await scene.by_kubectl("set", "env", "deployment/toy", "C=3")


@pytest.mark.parametrize(
    "change",
    [
        add_what_we_do_not_own,
        set_a_field_we_left_to_its_default,
        update_with_nothing_new,
        apply_the_same_values_as_another_manager,
        add_an_item_to_a_list_of_ours,
    ],
    ids=lambda change: change.__name__.replace("_", " "),
)
async def test_what_is_not_ours_is_no_drift(scene: Scene, change: Change) -> None:
    await change(scene)
    assert scene.reason() is None


async def test_a_reset_of_managed_fields_is_disowned_and_healed(scene: Scene) -> None:
    reset = [{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]
    answer = await scene.client.patch_json(ObjectRef.of(scene.manifest), reset)
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])
    assert scene.reason() == "disowned"
    await scene.apply()
    await scene.seen_up_to(scene.version)
    assert scene.reason() is None


async def test_a_deleted_object_is_absent_and_a_new_one_of_the_name_is_replaced(scene: Scene) -> None:
    seen = scene.store.get(key_of(scene.manifest))
    assert seen is not None
    await scene.client.delete(ObjectRef.of(seen))
    await waiting.until(lambda: scene.store.get(key_of(scene.manifest)) is None)
    assert scene.reason() == "absent"
    other = await scene.client.create(deployment(scene.namespace), field_manager="someone")
    await scene.seen_up_to(other["metadata"]["resourceVersion"])
    assert scene.reason() == "replaced"


async def test_a_changed_intent_is_applied_and_then_at_rest_again(scene: Scene) -> None:
    scene.manifest = deployment(scene.namespace, replicas=2)
    assert scene.reason() == "intent"
    await scene.apply()
    assert scene.reason() is None, "the cache lags behind our own write; that is no drift"
    await scene.seen_up_to(scene.version)
    assert scene.reason() is None


async def test_an_apply_that_changes_nothing_writes_nothing(scene: Scene) -> None:
    before = scene.version
    await scene.apply()
    current = await scene.client.get(DEPLOYMENTS, scene.namespace, "toy")
    written = json.dumps(current["metadata"]["managedFields"])
    await scene.apply()
    after = await scene.client.get(DEPLOYMENTS, scene.namespace, "toy")
    assert int(before) <= int(scene.version)
    assert after["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"]
    assert json.dumps(after["metadata"]["managedFields"]) == written


async def test_a_forced_apply_of_ours_takes_a_field_back_and_the_rival_sees_it(scene: Scene) -> None:
    await force_apply_a_field_of_ours(scene)
    await scene.apply()
    theirs = deployment(scene.namespace, image="other/thing:3")
    with pytest.raises(errors.Conflict, match=OURS):
        await scene.client.apply(theirs, field_manager="rival", force=False)


async def test_who_forces_our_value_in_other_words_takes_the_field_from_us(scene: Scene) -> None:
    """The server compares what is applied with what is stored, "1000m" with "1": one apply too many, and no harm."""
    answer = await scene.client.apply(deployment(scene.namespace), field_manager="rival")
    await scene.seen_up_to(answer["metadata"]["resourceVersion"])
    assert scene.reason() == "drifted"
    await scene.apply()
    await scene.seen_up_to(scene.version)
    assert scene.reason() is None
