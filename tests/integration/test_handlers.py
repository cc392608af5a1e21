"""kopf under its supervisor, against the real API server: it watches, writes nothing, and always comes back."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

import fault_proxy
import waiting
import widgets
from assay.handlers.supervisor import KopfWatcher
from assay.kube import auth
from assay.kube.client import KubeClient
from assay.kube.resources import Object, ObjectRef
from assay.runtime.backoff import Backoff
from assay.runtime.controller import Controller, Result
from assay.runtime.workqueue import WorkQueue
from cluster import LocalCluster
from fault_proxy import Fault, FaultProxy
from private_cluster import needs_own_cluster, private_cluster
from widgets import GROUP, VERSION, WIDGETS, widget

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


class Diary:
    """What the sinks heard, and that they were called on the test's own loop."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.heard: list[tuple[str | None, str, str]] = []
        self.relisted: list[str] = []
        self._thread = threading.get_ident()

    def sink(self, kind: str | None, obj: Mapping[str, object]) -> None:
        assert threading.get_ident() == self._thread
        metadata = obj["metadata"]
        assert isinstance(metadata, dict)
        if metadata["namespace"] == self.namespace:  # other tests have widgets too
            self.heard.append((kind, metadata["name"], metadata["resourceVersion"]))

    def relist(self, plural: str) -> None:
        assert threading.get_ident() == self._thread
        self.relisted.append(plural)

    def about(self, name: str) -> list[str | None]:
        return [kind for kind, heard, _ in self.heard if heard == name]


class Stage:
    """kopf behind the proxy, and direct access to the server."""

    def __init__(self, direct: KubeClient, proxy: FaultProxy, namespace: str) -> None:
        self.direct = direct
        self.proxy = proxy
        self.namespace = namespace
        self.diary = Diary(namespace)
        self.watcher = KopfWatcher(
            proxy.configuration,
            GROUP,
            VERSION,
            {"widgets": self.diary.sink, "gadgets": lambda kind, obj: None},
            on_relist=self.diary.relist,
            backoff=Backoff(base_s=0.2, cap_s=5),
        )

    async def write(self, name: str, size: int = 1) -> Object:
        return await self.direct.apply(widget(self.namespace, name, size=size), field_manager="test")

    async def delete(self, name: str) -> None:
        await self.direct.delete(ObjectRef(WIDGETS.api_version, WIDGETS.kind, self.namespace, name))

    async def watching(self, within_s: float = 20) -> float:
        return await waiting.until(
            lambda: self.proxy.open_watches("widgets") and self.proxy.open_watches("gadgets"), within_s, "kopf watches"
        )


@pytest_asyncio.fixture
async def stage(kubeconfig: Path, namespace: str) -> AsyncIterator[Stage]:
    async with KubeClient(await auth.load(kubeconfig)) as direct, fault_proxy.running(kubeconfig) as proxy:
        await widgets.install(direct)
        stage = Stage(direct, proxy, namespace)
        await stage.write("first")
        task = asyncio.create_task(stage.watcher.run())
        await asyncio.wait_for(stage.watcher.wait_synced(), 20)
        await stage.watching()
        yield stage
        assert not task.done(), "the supervisor must not end by itself"
        task.cancel()
        await asyncio.wait({task})
        assert not [thread for thread in threading.enumerate() if thread.name == "kopf"], "kopf's thread is still there"


async def test_every_change_is_heard_and_kopf_writes_nothing(stage: Stage) -> None:
    await waiting.until(lambda: stage.diary.about("first") == [None])
    await stage.write("second")
    await waiting.until(lambda: stage.diary.about("second") == ["ADDED"])
    await stage.write("second", 2)
    await waiting.until(lambda: stage.diary.about("second") == ["ADDED", "MODIFIED"])
    await stage.delete("second")
    await waiting.until(lambda: stage.diary.about("second") == ["ADDED", "MODIFIED", "DELETED"])
    assert {method for method, _ in stage.proxy.seen} == {"GET"}
    seen = await stage.direct.get(WIDGETS, stage.namespace, "first")
    assert "annotations" not in seen["metadata"]
    assert "finalizers" not in seen["metadata"]
    assert [entry["manager"] for entry in seen["metadata"]["managedFields"]] == ["test"]
    assert stage.diary.relisted == []


async def test_silence_is_counted_by_kind_and_ended_by_events_and_bookmarks(stage: Stage) -> None:
    """Nobody writes gadgets; widgets of other tests may come at any time."""
    await asyncio.sleep(1)  # the silence itself
    assert stage.watcher.silences_s()["gadgets"] > 0.9
    await stage.write("first", 5)
    await waiting.until(lambda: stage.diary.about("first") == [None, "MODIFIED"])
    assert stage.watcher.silences_s()["widgets"] < stage.watcher.silences_s()["gadgets"]
    bookmark = b'{"type":"BOOKMARK","object":{"kind":"Gadget","metadata":{"resourceVersion":"1"}}}\n'
    await stage.proxy.inject("gadgets", bookmark)
    await waiting.until(lambda: stage.watcher.silences_s()["gadgets"] < 0.5)


ENDINGS = {
    "ERROR 500": b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError","message":"boom"}}\n',
    "ERROR 504": b'{"type":"ERROR","object":{"kind":"Status","code":504,"reason":"Timeout","message":"slow"}}\n',
    "no JSON": b"this is no JSON\n",
}


@pytest.mark.parametrize("line", ENDINGS.values(), ids=ENDINGS.keys())
async def test_what_ends_kopf_does_not_end_the_watch_nor_touch_reconciles_in_flight(stage: Stage, line: bytes) -> None:
    """kopf cancels every task that is younger than itself on its loop: ours are on another one."""
    queue: WorkQueue[str] = WorkQueue()
    finished: Counter[str] = Counter()
    go_on = asyncio.Event()

    async def reconcile(key: str) -> Result:
        nested = asyncio.create_task(go_on.wait())
        await nested
        finished[key] += 1
        return Result()

    controller = asyncio.create_task(Controller("toy", queue, reconcile, workers=20).run())
    for number in range(20):
        queue.add(str(number))
    await waiting.until(lambda: len(queue) == 0)

    assert await stage.proxy.inject("widgets", line) == 1
    took_s = await waiting.until(lambda: {"widgets", "gadgets"} <= set(stage.diary.relisted))
    assert took_s < 10, "1 to 2 s on a quiet machine"
    assert stage.watcher.restarts == 1
    await stage.write("after")
    await waiting.until(lambda: stage.diary.about("after") != [])
    go_on.set()
    queue.close()
    await controller
    assert finished.total() == 20


async def test_after_410_kopf_relists_and_the_caller_is_told(stage: Stage) -> None:
    await stage.write("phantom")
    await waiting.until(lambda: stage.diary.about("phantom") == ["ADDED"])
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    stage.proxy.freeze()
    await stage.delete("phantom")
    await stage.proxy.inject("widgets", line)
    await waiting.until(lambda: stage.diary.relisted == ["widgets"])
    stage.proxy.thaw()
    await waiting.until(lambda: stage.diary.about("first") == [None, None])
    assert stage.diary.about("phantom") == ["ADDED"], "kopf tells nothing of it: that is why the caller must LIST"
    assert stage.watcher.restarts == 0


async def test_the_caller_is_told_of_a_relist_even_if_nothing_is_left(stage: Stage) -> None:
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    await stage.proxy.inject("gadgets", line)
    await waiting.until(lambda: stage.diary.relisted == ["gadgets"])


async def test_an_outage_is_waited_out_with_few_requests(stage: Stage) -> None:
    stage.proxy.seen.clear()
    stage.proxy.refuse()
    await asyncio.sleep(12)  # the outage itself
    # aiohttp repeats each attempt once at once when a connection breaks without an answer.
    assert len(stage.proxy.seen) < 24, "below one request a second and kind"
    stage.proxy.accept()
    await stage.watching(15)
    await stage.write("after")
    await waiting.until(lambda: stage.diary.about("after") != [])


async def test_silent_watches_make_the_supervisor_start_kopf_again(kubeconfig: Path, namespace: str) -> None:
    async with KubeClient(await auth.load(kubeconfig)) as direct, fault_proxy.running(kubeconfig) as proxy:
        await widgets.install(direct)
        diary = Diary(namespace)
        watcher = KopfWatcher(
            proxy.configuration,
            GROUP,
            VERSION,
            {"widgets": diary.sink},
            on_relist=diary.relist,
            backoff=Backoff(base_s=0.2, cap_s=5),
            silence_limit_s=2,
        )
        task = asyncio.create_task(watcher.run())
        await waiting.until(lambda: proxy.open_watches("widgets"), 20)
        proxy.freeze()
        await waiting.until(lambda: watcher.restarts >= 1, 30)
        proxy.thaw()
        await waiting.until(lambda: diary.relisted != [], 20)
        task.cancel()
        await asyncio.wait({task})


async def test_a_refused_credential_is_asked_for_again(stage: Stage) -> None:
    stage.proxy.add(Fault(lambda request: request.query.get("watch") == "true", 401, "{}", times=1))
    stage.proxy.cut_watches()
    await stage.watching(30)
    await stage.write("after")
    await waiting.until(lambda: stage.diary.about("after") != [], 20)


async def test_cancelling_while_kopf_starts_ends_its_thread(kubeconfig: Path) -> None:
    configuration = await auth.load(kubeconfig)
    for delay_s in (0, 0.01, 0.1, 0.3):
        watcher = KopfWatcher(configuration, GROUP, VERSION, {"widgets": lambda k, o: None}, on_relist=lambda p: None)
        task = asyncio.create_task(watcher.run())
        await asyncio.sleep(delay_s)
        task.cancel()
        await asyncio.wait({task})
        assert not [thread for thread in threading.enumerate() if thread.name == "kopf"]


@pytest.mark.parametrize(("server_name", "trusted"), [("kubernetes.default.svc", True), ("elsewhere.example", False)])
async def test_the_kubeconfigs_tls_server_name_is_what_the_certificate_must_hold(
    kubeconfig: Path, cluster: LocalCluster, server_name: str, trusted: bool
) -> None:
    configuration = await auth.load(kubeconfig)
    configuration.tls_server_name = server_name
    watcher = KopfWatcher(configuration, GROUP, VERSION, {"widgets": lambda k, o: None}, on_relist=lambda p: None)
    task = asyncio.create_task(watcher.run())
    if trusted:
        await asyncio.wait_for(watcher.wait_synced(), 30)
    else:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watcher.wait_synced(), 4)
    task.cancel()
    await asyncio.wait({task})


@pytest.fixture(scope="module")
def mortal() -> Iterator[LocalCluster]:
    yield from private_cluster("kopffault")


@needs_own_cluster
async def test_kopf_outlives_a_killed_api_server_with_reconciles_in_flight(mortal: LocalCluster) -> None:
    diary = Diary("default")
    queue: WorkQueue[str] = WorkQueue()
    finished: Counter[str] = Counter()
    go_on = asyncio.Event()

    async def reconcile(key: str) -> Result:
        await asyncio.create_task(go_on.wait())
        finished[key] += 1
        return Result()

    controller = asyncio.create_task(Controller("toy", queue, reconcile, workers=20).run())
    configuration = await auth.load(mortal.kubeconfig)
    async with KubeClient(configuration) as client:
        await widgets.install(client)
        await client.apply(widget("default", "before"), field_manager="test")
        watcher = KopfWatcher(configuration, GROUP, VERSION, {"widgets": diary.sink}, on_relist=diary.relist)
        task = asyncio.create_task(watcher.run())
        await waiting.until(lambda: diary.about("before") == [None], 20)
        for number in range(20):
            queue.add(str(number))
        await asyncio.to_thread(mortal.stop_apiserver)
        await asyncio.sleep(5)  # the outage itself
        await asyncio.to_thread(mortal.start_apiserver)
        await client.apply(widget("default", "after"), field_manager="test")
        await waiting.until(lambda: diary.about("after") != [], 40)
        go_on.set()
        queue.close()
        await controller
        assert finished.total() == 20
        task.cancel()
        await asyncio.wait({task})
