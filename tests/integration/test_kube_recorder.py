"""Events on the real API server: readable by kubectl, one for the same news, bounded for a noisy object."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

import waiting
from assay.kube import auth, recorder
from assay.kube.client import KubeClient
from assay.kube.recorder import Recorder
from assay.kube.resources import EVENTS, Object, ObjectRef
from cluster import LocalCluster

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def client(kubeconfig: Path) -> AsyncIterator[KubeClient]:
    async with KubeClient(await auth.load(kubeconfig)) as client:
        yield client


@asynccontextmanager
async def recording(client: KubeClient) -> AsyncIterator[Recorder]:
    recorder = Recorder(client, "assay", "operator-0")
    task = asyncio.create_task(recorder.run())
    yield recorder
    task.cancel()
    await asyncio.wait({task})


async def subject(client: KubeClient, namespace: str, name: str = "it") -> ObjectRef:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace, "name": name}}
    return ObjectRef.of(await client.create(manifest))


async def events(client: KubeClient, namespace: str) -> list[Object]:
    items, _ = await client.list(EVENTS, namespace, field_selector="reportingController=assay")
    return items


async def test_kubectl_shows_the_event_of_an_object(client: KubeClient, namespace: str, cluster: LocalCluster) -> None:
    ref = await subject(client, namespace)
    async with recording(client) as recorder:
        recorder.emit(ref, "Warning", "EpochLate", "epoch 7 had no quorum at its deadline", action="Commit")
        await waiting.until_async(lambda: events(client, namespace))
    (event,) = await events(client, namespace)
    assert (event["type"], event["reason"], event["action"]) == ("Warning", "EpochLate", "Commit")
    assert event["regarding"]["uid"] == ref.uid
    described = await asyncio.to_thread(cluster.kubectl, "-n", namespace, "describe", "configmap", "it")
    assert "epoch 7 had no quorum at its deadline" in described


async def test_the_same_news_is_one_event_and_other_news_another(client: KubeClient, namespace: str) -> None:
    ref = await subject(client, namespace)
    async with recording(client) as recorder:
        for _ in range(50):
            recorder.emit(ref, "Normal", "Ready", "serving")
        recorder.emit(ref, "Normal", "Ready", "serving again")
        await waiting.until_async(lambda: has(client, namespace, 2))
        await asyncio.sleep(0.5)  # the writes that must not come
    assert {event["note"] for event in await events(client, namespace)} == {"serving", "serving again"}
    assert recorder.dropped == 0


async def has(client: KubeClient, namespace: str, count: int) -> bool:
    return len(await events(client, namespace)) == count


async def test_news_that_keeps_coming_grows_a_series(
    client: KubeClient, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_REPEAT_S", 0.0)
    ref = await subject(client, namespace)
    async with recording(client) as written:
        for _ in range(3):
            written.emit(ref, "Normal", "Ready", "serving")

        async def thrice() -> bool:
            return [event.get("series", {}).get("count") for event in await events(client, namespace)] == [3]

        await waiting.until_async(thrice)
        (event,) = await events(client, namespace)
        await client.delete(ObjectRef.of(event))
        written.emit(ref, "Normal", "Ready", "serving")  # events live an hour: then it is a new one
        await waiting.until_async(lambda: has(client, namespace, 1))


async def test_a_noisy_object_is_cut_off_and_a_quiet_one_is_not(client: KubeClient, namespace: str) -> None:
    noisy, quiet = await subject(client, namespace, "noisy"), await subject(client, namespace, "quiet")
    async with recording(client) as recorder:
        for number in range(60):
            recorder.emit(noisy, "Normal", "Flapping", f"state {number}")
        recorder.emit(quiet, "Normal", "Ready", "serving")
        await waiting.until_async(lambda: has(client, namespace, 26))
        assert recorder.dropped == 35


async def test_what_cannot_be_written_is_dropped_and_counted(client: KubeClient, namespace: str) -> None:
    ref = await subject(client, namespace)
    async with recording(client) as recorder:
        recorder.emit(ObjectRef("v1", "Pod", "no-such-namespace", "a", "u"), "Normal", "Ready", "serving")
        recorder.emit(ref, "Normal", "Ready", "x" * 5000)
        await waiting.until_async(lambda: has(client, namespace, 1))
        assert recorder.dropped == 1
    (event,) = await events(client, namespace)
    assert len(event["note"]) == 1024
    assert event["note"].endswith("...")


async def test_a_flood_waits_in_a_bounded_buffer(client: KubeClient) -> None:
    recorder = Recorder(client, "assay", "operator-0")  # not running
    ref = ObjectRef("v1", "ConfigMap", "default", "a", "u")
    for number in range(1500):
        recorder.emit(ref, "Normal", "Flood", str(number))
    assert recorder.dropped == 500


async def test_an_event_of_an_object_without_namespace_goes_to_default(client: KubeClient) -> None:
    note = f"seen {secrets.token_hex(4)}"
    async with recording(client) as recorder:
        recorder.emit(ObjectRef("v1", "Node", None, "kwok-0", "u"), "Normal", "Seen", note)

        async def there() -> bool:
            return note in [event["note"] for event in await events(client, "default")]

        await waiting.until_async(there)
