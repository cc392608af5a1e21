"""The election on the real API server.

One leader at a time, a new number for every term, and no leader without a lease.
"""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock
from pydantic import ValidationError

import fault_proxy
import waiting
from assay.kube import auth
from assay.kube.client import KubeClient
from assay.kube.lease import IdentityTakenError, LeaderElector
from assay.kube.resources import LEASES, Object
from candidates import Candidate
from fault_proxy import Fault, FaultProxy

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio]


@pytest_asyncio.fixture
async def configuration(kubeconfig: Path) -> Configuration:
    return await auth.load(kubeconfig)


@pytest_asyncio.fixture
async def client(configuration: Configuration) -> AsyncIterator[KubeClient]:
    async with KubeClient(configuration) as client:
        yield client


class Leader:
    """What to do while leading, and a diary of it."""

    def __init__(self) -> None:
        self.terms: list[int] = []
        self.active = False

    async def __call__(self, term: int) -> None:
        self.terms.append(term)
        self.active = True
        try:
            await asyncio.Event().wait()
        finally:
            self.active = False


@contextlib.asynccontextmanager
async def campaigning(
    elector: LeaderElector, lead: Callable[[int], Awaitable[None]]
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(elector.run(lead))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def lease_spec(client: KubeClient, namespace: str) -> Object:
    spec: Object = (await client.get(LEASES, namespace, "it"))["spec"]
    return spec


async def test_the_first_candidate_leads_with_term_one_and_the_lease_says_so(
    configuration: Configuration, client: KubeClient, namespace: str
) -> None:
    leader = Leader()
    elector = LeaderElector(configuration, namespace, "it", "a")
    async with campaigning(elector, leader):
        await waiting.until(lambda: leader.active)
        spec = await lease_spec(client, namespace)
        assert (spec["holderIdentity"], spec["leaseTransitions"], spec["leaseDurationSeconds"]) == ("a", 1, 6)
        assert elector.leading == 1
    assert (leader.active, elector.leading) == (False, None)


async def test_stopping_gives_the_lease_back_and_the_next_one_leads_at_once_with_the_next_term(
    configuration: Configuration, client: KubeClient, namespace: str
) -> None:
    first, second = Leader(), Leader()
    async with campaigning(LeaderElector(configuration, namespace, "it", "a"), first):
        await waiting.until(lambda: first.active)
        async with campaigning(LeaderElector(configuration, namespace, "it", "b"), second):
            await asyncio.sleep(1.5)  # longer than a retry: the standby had its chance to overreach
            assert not second.active
    assert "holderIdentity" not in await lease_spec(client, namespace)
    async with campaigning(LeaderElector(configuration, namespace, "it", "b"), second):
        assert await waiting.until(lambda: second.active) < 1
        assert (first.terms, second.terms) == ([1], [2])


async def test_every_term_has_its_own_number_also_for_the_same_identity(
    configuration: Configuration, namespace: str
) -> None:
    leader = Leader()
    for expected in (1, 2, 3):
        async with campaigning(LeaderElector(configuration, namespace, "it", "a"), leader):
            await waiting.until(lambda n=expected: len(leader.terms) == n)
    assert leader.terms == [1, 2, 3]


async def test_when_the_leading_task_fails_the_lease_is_given_back_and_the_failure_told(
    configuration: Configuration, client: KubeClient, namespace: str
) -> None:
    async def fail(term: int) -> None:
        raise ZeroDivisionError(term)

    with pytest.raises(ZeroDivisionError):
        await LeaderElector(configuration, namespace, "it", "a").run(fail)
    assert "holderIdentity" not in await lease_spec(client, namespace)


async def test_when_the_leading_task_ends_so_does_run(configuration: Configuration, namespace: str) -> None:
    async def nothing(term: int) -> None:
        return

    await asyncio.wait_for(LeaderElector(configuration, namespace, "it", "a").run(nothing), 5)


FAULTS = {
    "answers are lost": lambda proxy: proxy.add(Fault(fault_proxy.writes("leases"), times=10_000)),
    "the connection is refused": lambda proxy: proxy.refuse(),
    "calls hang": lambda proxy: proxy.add(Fault(lambda request: True, 503, delay_s=30, times=10_000)),
    "the server is overloaded": lambda proxy: proxy.add(Fault(lambda request: True, 429, "busy", times=10_000)),
    "a page that is not JSON": lambda proxy: proxy.add(Fault(lambda request: True, 502, "<html>", times=10_000)),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
async def test_a_leader_that_cannot_renew_stops_in_time_and_leads_again_later(
    kubeconfig: Path, namespace: str, fault: Callable[[FaultProxy], None]
) -> None:
    leader = Leader()
    async with fault_proxy.running(kubeconfig) as proxy:
        elector = LeaderElector(proxy.configuration, namespace, "it", "a")
        async with campaigning(elector, leader) as campaign:
            await waiting.until(lambda: leader.active)
            fault(proxy)
            stopped_after_s = await waiting.until(lambda: not leader.active, 8)
            assert 2 < stopped_after_s < 5.5, "4 s after the last renewal, which was up to 1 s ago; others wait 6 s"
            proxy.faults.clear()
            proxy.accept()
            await waiting.until(lambda: leader.active, 20)
            assert len(leader.terms) == 2
            assert leader.terms[1] > leader.terms[0]
            assert not campaign.done()


async def test_a_short_outage_costs_no_leadership(kubeconfig: Path, namespace: str) -> None:
    leader = Leader()
    async with (
        fault_proxy.running(kubeconfig) as proxy,
        campaigning(LeaderElector(proxy.configuration, namespace, "it", "a"), leader),
    ):
        await waiting.until(lambda: leader.active)
        proxy.refuse()
        await asyncio.sleep(1.5)  # the outage itself
        proxy.accept()
        await asyncio.sleep(3)  # long enough for the watchdog to fire, were it to
        assert (leader.active, leader.terms) == (True, [1])


async def test_of_two_processes_of_one_name_the_older_gives_up_and_says_why(
    configuration: Configuration, namespace: str
) -> None:
    """A mistake in the deployment: they would depose each other for ever. The term tells them apart."""
    first, second = Leader(), Leader()
    async with campaigning(LeaderElector(configuration, namespace, "it", "same"), first) as older:
        await waiting.until(lambda: first.active)
        async with campaigning(LeaderElector(configuration, namespace, "it", "same"), second) as younger:
            await waiting.until(lambda: second.active)
            with pytest.raises(IdentityTakenError, match="taken by another same; give each process an identity"):
                await asyncio.wait_for(older, 5)
            assert (first.active, second.active, younger.done()) == (False, True, False)
    assert (first.terms, second.terms) == ([1], [2])


async def test_a_leading_task_that_cannot_renew_is_ended_even_if_it_lingers(kubeconfig: Path, namespace: str) -> None:
    ended = asyncio.Event()

    async def linger(term: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.5)
            ended.set()

    async with fault_proxy.running(kubeconfig) as proxy:
        elector = LeaderElector(proxy.configuration, namespace, "it", "a")
        async with campaigning(elector, linger):
            await waiting.until(lambda: elector.leading)
            proxy.refuse()
            await asyncio.wait_for(ended.wait(), 6)


@pytest_asyncio.fixture
async def pair(kubeconfig: Path, namespace: str) -> AsyncIterator[tuple[Candidate, Candidate]]:
    first = await Candidate.start(kubeconfig, namespace, "a")
    await waiting.until(lambda: first.leads, 30)
    second = await Candidate.start(kubeconfig, namespace, "b")
    await second.watches()
    yield first, second
    await first.end()
    await second.end()


def assert_never_together(*candidates: Candidate) -> None:
    spans = sorted(span for candidate in candidates for span in candidate.intervals())
    for (_, end, term), (start, _, next_term) in itertools.pairwise(spans):
        assert end <= start, f"term {term} acted until {end - start:.2f} s after term {next_term} began"
        assert next_term > term


async def test_a_killed_leader_is_replaced_within_eight_seconds(pair: tuple[Candidate, Candidate]) -> None:
    first, second = pair
    first.signal(signal.SIGKILL)
    assert await waiting.until(lambda: second.leads, 10) <= 8
    assert_never_together(first, second)


async def test_a_leader_asked_to_stop_hands_over_within_two_seconds(pair: tuple[Candidate, Candidate]) -> None:
    first, second = pair
    first.signal(signal.SIGTERM)
    assert await waiting.until(lambda: second.leads, 10) <= 2
    assert_never_together(first, second)


async def test_a_leader_that_was_stopped_and_continued_finds_itself_deposed(pair: tuple[Candidate, Candidate]) -> None:
    """A paused process cannot know; when it goes on it must stop at once. The number fences what it does in between."""
    first, second = pair
    first.signal(signal.SIGSTOP)
    await waiting.until(lambda: second.leads, 10)
    first.signal(signal.SIGCONT)
    await waiting.until(lambda: not first.leads, 3)
    assert second.terms == [2]
    second.signal(signal.SIGTERM)
    await waiting.until(lambda: first.leads, 5)
    assert first.terms == [1, 3]


async def test_a_leader_cut_off_from_the_server_stops_before_the_other_begins(kubeconfig: Path, namespace: str) -> None:
    async with fault_proxy.running(kubeconfig) as proxy:
        first = await Candidate.start(kubeconfig, namespace, "a", f"http://127.0.0.1:{proxy.port}")
        await waiting.until(lambda: first.leads, 30)
        second = await Candidate.start(kubeconfig, namespace, "b")
        await second.watches()
        proxy.refuse()
        await waiting.until(lambda: second.leads, 10)
        proxy.accept()
        await asyncio.sleep(2)
        assert_never_together(first, second)
        await first.end()
        await second.end()


async def test_the_library_cannot_create_a_lease_at_all(configuration: Configuration, namespace: str) -> None:
    """Why `create` is our own: the day this fails, the library's may do."""
    async with ApiClient(configuration) as api:
        lock = LeaseLock("it", namespace, "a", api)
        record = LeaderElectionRecord("a", "6", "2026-11-24 20:00:00.000001", "2026-11-24 20:00:00.000001")
        with pytest.raises(ValidationError, match="pretty"):
            await lock.create("it", namespace, record)
