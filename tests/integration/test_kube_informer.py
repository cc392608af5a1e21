"""The informer keeps its store equal to the real API server, through every fault a watch can meet."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import fault_proxy
import waiting
import widgets
from assay.kube import auth
from assay.kube.client import KubeClient
from assay.kube.informer import Informer
from assay.kube.resources import Object, ObjectRef, key_of
from assay.kube.store import Store
from assay.runtime.backoff import Backoff
from fault_proxy import Fault, FaultProxy
from widgets import WIDGETS, widget

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


class Observed:
    """Counts what an informer tells."""

    def __init__(self) -> None:
        self.lists = 0
        self.events = 0
        self.interruptions: Counter[str] = Counter()

    def listed(self, count: int) -> None:
        self.lists += 1

    def received(self) -> None:
        self.events += 1

    def interrupted(self, reason: str) -> None:
        self.interruptions[reason] += 1


class Stage:
    """Direct access to the server, and an informer that reaches it through the proxy."""

    def __init__(self, direct: KubeClient, proxy: FaultProxy, client: KubeClient, namespace: str) -> None:
        self.direct = direct
        self.through = client
        self.proxy = proxy
        self.namespace = namespace
        self.observed = Observed()
        self.told: list[tuple[str, str]] = []
        self.store = Store(manager="assay")
        self.store.subscribe(self._hear)
        self.informer = Informer(
            client,
            WIDGETS,
            self.store,
            namespace=namespace,
            backoff=Backoff(base_s=0.2, cap_s=30),
            watch_timeout_s=60,
            silence_s=3,
            observer=self.observed,
        )

    def _hear(self, old: Object | None, new: Object | None) -> None:
        name = (new or old or {})["metadata"]["name"]
        self.told.append((name, "deleted" if new is None else "added" if old is None else "changed"))

    async def write(self, name: str, size: int = 1) -> Object:
        return await self.direct.apply(widget(self.namespace, name, size=size), field_manager="test")

    async def delete(self, name: str) -> None:
        await self.direct.delete(ObjectRef(WIDGETS.api_version, WIDGETS.kind, self.namespace, name))

    async def converged(self, within_s: float = 10) -> float:
        """Wait until store and server are equal."""

        async def equal() -> bool:
            items, _ = await self.direct.list(WIDGETS, self.namespace)
            return {key_of(i): version(i) for i in items} == {key_of(o): version(o) for o in self.store.items()}

        return await waiting.until_async(equal, within_s, "store and server are equal")


def version(obj: Object) -> tuple[str, str]:
    return obj["metadata"]["uid"], obj["metadata"]["resourceVersion"]


@pytest_asyncio.fixture
async def stage(kubeconfig: Path, namespace: str) -> AsyncIterator[Stage]:
    async with (
        KubeClient(await auth.load(kubeconfig)) as direct,
        fault_proxy.running(kubeconfig) as proxy,
        KubeClient(proxy.configuration, request_timeout_s=5) as client,
    ):
        await widgets.install(direct)
        stage = Stage(direct, proxy, client, namespace)
        for name in ("p0", "p1", "p2"):
            await stage.write(name)
        task = asyncio.create_task(stage.informer.run())
        await asyncio.wait_for(stage.informer.wait_synced(), 10)
        await waiting.until(lambda: proxy.open_watches("widgets"))
        stage.told.clear()
        yield stage
        assert not task.done(), "the informer must never end by itself"
        task.cancel()
        await asyncio.wait({task})


async def test_changes_arrive_and_a_quiet_watch_reports_life(stage: Stage) -> None:
    await stage.write("p0", 2)
    await stage.write("new")
    await stage.delete("p1")
    await waiting.until(lambda: len(stage.told) == 3)
    assert stage.told == [("p0", "changed"), ("new", "added"), ("p1", "deleted")]
    assert stage.informer.silent_for_s() < 2
    assert (stage.observed.lists, stage.observed.events) == (1, 3)


async def test_a_watch_that_is_cut_resumes_without_a_list(stage: Stage) -> None:
    for number in range(5):
        stage.proxy.cut_watches(b'{"type":"ADDED","obj' if number % 2 else b"")
        await stage.write("p0", number + 2)
        await waiting.until(lambda n=number: ("p0", "changed") in stage.told and len(stage.told) == n + 1)
    assert stage.observed.lists == 1
    assert stage.observed.interruptions == {"Unreachable": 5}


async def test_a_server_that_refuses_is_asked_again_ever_more_rarely_and_nothing_is_deleted(stage: Stage) -> None:
    stage.proxy.refuse()
    await asyncio.sleep(5)  # the outage itself
    assert len(stage.store) == 3
    assert 4 <= stage.observed.interruptions["Unreachable"] <= 7, "0.2 s doubling, with jitter"
    await stage.delete("p1")
    stage.proxy.accept()
    stage.informer.poke()
    assert await stage.converged() < 2
    assert stage.told == [("p1", "deleted")]


async def test_whoever_reaches_the_server_first_wakes_those_who_wait(stage: Stage) -> None:
    stage.proxy.refuse()
    await waiting.until(lambda: stage.observed.interruptions["Unreachable"] >= 6, 15, "a wait of several seconds")
    await stage.delete("p1")
    stage.proxy.accept()
    await stage.through.list(WIDGETS, stage.namespace)
    await waiting.until(lambda: stage.told == [("p1", "deleted")], 1)


async def test_an_outage_heals_without_being_told_too(stage: Stage) -> None:
    stage.proxy.refuse()
    await asyncio.sleep(2)  # the outage itself
    await stage.delete("p1")
    stage.proxy.accept()
    assert await stage.converged() < 5


async def test_a_silent_watch_is_replaced_and_nothing_is_lost(stage: Stage) -> None:
    stage.proxy.freeze()
    await stage.write("p0", 7)
    await stage.delete("p2")
    await waiting.until(lambda: stage.observed.interruptions["Unreachable"] >= 1, 8)
    stage.proxy.thaw()
    await stage.converged()
    assert Counter(stage.told) == {("p0", "changed"): 1, ("p2", "deleted"): 1}
    assert stage.observed.lists == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"ERROR","object":{"kind":"Status","code":500,"reason":"InternalError","message":"boom"}}\n',
        b'{"type":"ERROR","object":{}}\n',
        b"this is no JSON\n",
        b'{"type":"ADDED","object":{"kind":"Widget"}}\n',
        b"\n",
    ],
    ids=["ERROR 500", "ERROR without a code", "no JSON", "an object without metadata", "an empty line"],
)
async def test_a_line_that_makes_no_sense_costs_a_reconnection_and_no_more(stage: Stage, line: bytes) -> None:
    assert await stage.proxy.inject("widgets", line) == 1
    await waiting.until(lambda: stage.observed.interruptions.total() == 1)
    await stage.write("p0", 3)
    await waiting.until(lambda: stage.told == [("p0", "changed")])
    assert stage.observed.lists == 1


async def test_after_410_a_list_tells_what_vanished_meanwhile(stage: Stage) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    stage.proxy.refuse()
    await stage.delete("p1")
    await stage.write("p0", 4)
    stage.proxy.add(Fault(fault_proxy.watches("widgets"), 410, json.dumps(gone)))
    stage.proxy.accept()
    await stage.converged()
    assert sorted(stage.told) == [("p0", "changed"), ("p1", "deleted")]
    assert (stage.observed.lists, stage.observed.interruptions["Gone"]) == (2, 1)


async def test_repeated_410_is_no_storm(stage: Stage) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    stage.proxy.add(Fault(fault_proxy.watches("widgets"), 410, json.dumps(gone), times=10_000))
    stage.proxy.cut_watches()
    await asyncio.sleep(4)  # the storm that must not be
    assert stage.observed.interruptions["Gone"] <= 7
    stage.proxy.faults.clear()
    await stage.write("p0", 5)
    await stage.converged()


async def test_an_error_410_within_a_watch_lists_again(stage: Stage) -> None:
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n'
    await stage.proxy.inject("widgets", line)
    await waiting.until(lambda: stage.observed.lists == 2)
    await stage.write("p0", 6)
    await waiting.until(lambda: stage.told == [("p0", "changed")])


async def test_a_failed_list_deletes_nothing(stage: Stage) -> None:
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    stage.proxy.add(Fault(fault_proxy.watches("widgets"), 410, json.dumps(gone)))
    stage.proxy.add(Fault(fault_proxy.lists("widgets"), 500, "boom", times=2))
    stage.proxy.add(Fault(fault_proxy.lists("widgets"), 200, "{}x"))
    stage.proxy.cut_watches()
    await waiting.until(lambda: stage.observed.interruptions["ServerError"] == 3)
    assert len(stage.store) == 3
    await waiting.until(lambda: stage.observed.lists == 2)
    assert stage.told == []


async def test_a_watch_that_may_not_be_opened_does_not_list_again_and_again(stage: Stage) -> None:
    forbidden = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "no"}
    stage.proxy.add(Fault(fault_proxy.watches("widgets"), 403, json.dumps(forbidden), times=3))
    stage.proxy.cut_watches()
    await waiting.until(lambda: stage.observed.interruptions["Forbidden"] == 3)
    assert stage.observed.lists == 1
    await stage.write("p0", 6)
    await stage.converged()


async def test_the_same_name_with_a_new_uid_is_told_as_deleted_and_added(stage: Stage) -> None:
    stage.proxy.refuse()
    await stage.delete("p1")
    await stage.write("p1", 9)
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    stage.proxy.add(Fault(fault_proxy.watches("widgets"), 410, json.dumps(gone)))
    stage.proxy.accept()
    await stage.converged()
    assert stage.told == [("p1", "deleted"), ("p1", "added")]


async def test_a_resync_corrects_the_store_while_the_watch_hangs_behind(stage: Stage) -> None:
    stage.proxy.freeze()
    await stage.delete("p1")
    await stage.write("p0", 2)
    await stage.write("p0", 3)
    await stage.informer.resync()
    assert sorted(stage.told) == [("p0", "changed"), ("p1", "deleted")]
    stage.proxy.thaw()
    await stage.write("p2", 8)
    await waiting.until(lambda: ("p2", "changed") in stage.told)
    assert len(stage.told) == 3, "what the list told already, the watch must not tell again"
    await stage.converged()


async def test_a_storm_of_changes_through_cuts_and_freezes_converges(stage: Stage) -> None:
    async def storm() -> None:
        for number in range(120):
            name = f"s{number % 7}"
            await stage.write(name, number % 10)
            if number % 5 == 4:
                await stage.delete(name)

    async def disturb() -> None:
        for number in range(8):
            await asyncio.sleep(0.15)
            stage.proxy.cut_watches(b'{"type":"MODIF' if number % 2 else b"")

    await asyncio.gather(storm(), disturb())
    await stage.converged(20)
