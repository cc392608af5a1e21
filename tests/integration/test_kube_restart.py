"""Client and informer through the death and return of a real API server, on a cluster of their own."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

import waiting
import widgets
from assay.kube import auth, errors
from assay.kube.client import KubeClient
from assay.kube.informer import Informer
from assay.kube.resources import CONFIG_MAPS, Object, ObjectRef
from assay.kube.store import Store
from cluster import LocalCluster
from fault_proxy import running
from private_cluster import needs_own_cluster, private_cluster
from widgets import WIDGETS, widget

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio, needs_own_cluster]


@pytest.fixture(scope="module")
def mortal() -> Iterator[LocalCluster]:
    yield from private_cluster("kubefault")


@pytest_asyncio.fixture
async def client(mortal: LocalCluster) -> AsyncIterator[KubeClient]:
    async with KubeClient(await auth.load(mortal.kubeconfig), request_timeout_s=5) as client:
        await widgets.install(client)
        yield client


async def write(client: KubeClient, name: str, size: int) -> Object:
    return await client.apply(widget("default", name, size=size), field_manager="test")


async def test_an_informer_outlives_the_api_server_and_sees_new_objects_soon(
    mortal: LocalCluster, client: KubeClient
) -> None:
    await write(client, "before", 1)
    store = Store()
    informer = Informer(client, WIDGETS, store, namespace="default")
    task = asyncio.create_task(informer.run())
    await informer.wait_synced()
    await asyncio.to_thread(mortal.stop_apiserver)
    with pytest.raises(errors.Unreachable):
        await client.list(WIDGETS)
    await asyncio.sleep(3)  # the outage itself
    assert len(store) == 1
    await asyncio.to_thread(mortal.start_apiserver)
    started = time.monotonic()
    await write(client, "after", 2)
    await waiting.until(lambda: store.get(("default", "after")) is not None, 10)
    assert time.monotonic() - started < 10
    task.cancel()
    await asyncio.wait({task})


async def test_a_watch_from_before_the_servers_memory_is_gone(mortal: LocalCluster, client: KubeClient) -> None:
    """A restarted API server remembers no history; a young one may still remember all of it."""
    await asyncio.to_thread(mortal.stop_apiserver)
    await asyncio.to_thread(mortal.start_apiserver)
    with pytest.raises(errors.Gone):
        async for _ in client.watch(CONFIG_MAPS, "1", "default", timeout_s=5):
            pass


async def test_an_object_deleted_beyond_the_servers_memory_is_told_after_a_real_410(
    mortal: LocalCluster, client: KubeClient
) -> None:
    """A restarted API server remembers no history: a watch from before is answered 410, and only a list can tell."""
    for name in ("kept", "victim"):
        await write(client, name, 1)
    store = Store()
    told: list[str] = []
    store.subscribe(lambda old, new: told.append(old["metadata"]["name"]) if old and new is None else None)
    gone = 0

    class Observer:
        def listed(self, count: int) -> None: ...
        def received(self) -> None: ...
        def interrupted(self, reason: str) -> None:
            nonlocal gone
            gone += reason == "Gone"

    async with running(mortal.kubeconfig) as proxy, KubeClient(proxy.configuration) as through:
        informer = Informer(through, WIDGETS, store, namespace="default", observer=Observer())
        task = asyncio.create_task(informer.run())
        await informer.wait_synced()
        await waiting.until(lambda: proxy.open_watches("widgets"))
        proxy.refuse()
        await client.delete(ObjectRef(WIDGETS.api_version, WIDGETS.kind, "default", "victim"))
        await write(client, "kept", 2)
        await asyncio.to_thread(mortal.stop_apiserver)
        await asyncio.to_thread(mortal.start_apiserver)
        await write(client, "kept", 3)
        proxy.accept()
        informer.poke()
        await waiting.until(lambda: told == ["victim"], 20, "the deletion is told")
        await waiting.until(lambda: (store.get(("default", "kept")) or {})["spec"]["size"] == 3)
        assert gone == 1, "the server was expected to have forgotten, and to answer 410"
        task.cancel()
        await asyncio.wait({task})
