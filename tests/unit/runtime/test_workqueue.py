"""The queue's semantics, one by one, and as properties over random histories in virtual time."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtual_time
from assay.runtime.workqueue import WorkQueue


async def take(queue: WorkQueue[str], within_s: float = 0.001) -> str | None:
    """The next key, or '' if none comes in time."""
    try:
        async with asyncio.timeout(within_s):
            return await queue.get()
    except TimeoutError:
        return ""


def test_a_key_added_often_is_handed_out_once() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(10):
            queue.add("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert await take(queue) == ""

    virtual_time.run(main())


def test_keys_come_out_in_the_order_they_went_in() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for key in "cab":
            queue.add(key)
        assert [await queue.get() for _ in range(3)] == ["c", "a", "b"]

    virtual_time.run(main())


def test_a_key_added_while_in_work_comes_again_only_after_done() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        await queue.get()
        queue.add("a")
        queue.add("a")
        assert await take(queue) == ""
        queue.done("a")
        assert await queue.get() == "a"
        queue.done("a")
        assert await take(queue) == ""

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("delays_s", "expected_s"),
    [([5.0], 5), ([5.0, 2.0], 2), ([2.0, 5.0], 2), ([5.0, 3.0, 1.0, 4.0], 1), ([5.0, 0.0], 0), ([-1.0], 0)],
    ids=str,
)
def test_of_several_delays_the_earliest_wins_and_hands_out_once(delays_s: list[float], expected_s: float) -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for delay_s in delays_s:
            queue.add_after("a", delay_s)
        assert await queue.get() == "a"
        assert asyncio.get_running_loop().time() == pytest.approx(expected_s)
        queue.done("a")

    virtual_time.run(main())


def test_a_longer_delay_asked_for_after_the_shorter_one_fired_still_counts() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 100)
        queue.add_after("a", 1)
        assert await queue.get() == "a"
        queue.done("a")
        queue.add_after("a", 200)
        assert await queue.get() == "a"
        assert asyncio.get_running_loop().time() == pytest.approx(201)

    virtual_time.run(main())


def test_superseded_delays_do_not_pile_up() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(5000):
            queue.add_after("a", 10_000)
            queue.add_after("a", 0.001)
            await queue.get()
            queue.done("a")
        assert len(queue._heap) < 200

    virtual_time.run(main())


def test_close_hands_out_what_is_ready_and_then_none_to_every_waiter() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        queue.add_after("late", 10)
        queue.close()
        queue.add("too late")
        assert await queue.get() == "a"
        assert await asyncio.gather(queue.get(), queue.get()) == [None, None]

    virtual_time.run(main())


def test_close_wakes_those_who_wait() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        waiters = [asyncio.create_task(queue.get()) for _ in range(3)]
        await asyncio.sleep(1)
        queue.close()
        assert await asyncio.gather(*waiters) == [None, None, None]

    virtual_time.run(main())


def test_a_waiter_cancelled_in_the_moment_it_was_woken_passes_the_key_on() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        queue.add("a")  # wakes the first
        first.cancel()
        assert await asyncio.wait_for(second, 1) == "a"

    virtual_time.run(main())


def test_ages_tell_how_long_keys_wait_and_are_worked_on() -> None:
    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue()
        assert (queue.oldest_wait_s(), queue.longest_work_s()) == (0, 0)
        queue.add("a")
        await asyncio.sleep(3)
        assert queue.oldest_wait_s() == pytest.approx(3)
        await queue.get()
        await asyncio.sleep(4)
        assert (queue.oldest_wait_s(), queue.longest_work_s()) == (0, pytest.approx(4))
        queue.done("a")
        assert queue.longest_work_s() == 0

    virtual_time.run(main())


@dataclass
class Seen:
    depths: list[int] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    works_s: list[float] = field(default_factory=list)
    retries: int = 0

    def added(self, depth: int) -> None:
        self.depths.append(depth)

    def handed_out(self, depth: int, waited_s: float) -> None:
        self.depths.append(depth)
        self.waits_s.append(waited_s)

    def finished(self, worked_s: float) -> None:
        self.works_s.append(worked_s)

    def retried(self) -> None:
        self.retries += 1


def test_the_observer_sees_depth_waits_work_and_retries() -> None:
    async def main() -> Seen:
        seen = Seen()
        queue: WorkQueue[str] = WorkQueue(seen)
        queue.add("a")
        queue.add("b")
        await asyncio.sleep(2)
        await queue.get()
        await asyncio.sleep(5)
        queue.done("a")
        queue.add_after("a", 1)
        return seen

    assert virtual_time.run(main()) == Seen(depths=[1, 2, 1], waits_s=[2], works_s=[5], retries=1)


ACTIONS = st.lists(
    st.tuples(
        st.floats(0, 3, allow_nan=False),  # pause before
        st.sampled_from("abcd"),
        st.one_of(st.none(), st.floats(-1, 20, allow_nan=False)),  # add, or add_after
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(actions=ACTIONS, work_s=st.lists(st.floats(0, 5, allow_nan=False), min_size=1), workers=st.integers(1, 4))
def test_no_key_is_worked_on_twice_at_once_and_every_add_is_followed_by_work(
    actions: list[tuple[float, str, float | None]], work_s: list[float], workers: int
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        queue: WorkQueue[str] = WorkQueue()
        running: Counter[str] = Counter()
        starts: dict[str, list[float]] = {key: [] for key in "abcd"}
        turns = 0

        async def work() -> None:
            nonlocal turns
            while (key := await queue.get()) is not None:
                running[key] += 1
                assert running[key] == 1, "two workers hold the same key"
                starts[key].append(loop.time())
                turns += 1
                await asyncio.sleep(work_s[turns % len(work_s)])
                running[key] -= 1
                queue.done(key)

        tasks = [asyncio.create_task(work()) for _ in range(workers)]
        due: list[tuple[str, float]] = []
        adds = 0
        for pause_s, key, delay_s in actions:
            await asyncio.sleep(pause_s)
            adds += 1
            if delay_s is None:
                queue.add(key)
                due.append((key, loop.time()))
            else:
                queue.add_after(key, delay_s)
                due.append((key, loop.time()))
        await asyncio.sleep(1000)
        for key, asked_at_s in due:
            assert any(start_s >= asked_at_s for start_s in starts[key]), f"{key} was asked for and never handed out"
        assert turns <= adds, "a key came out more often than it was asked for"
        queue.close()
        await asyncio.gather(*tasks)

    virtual_time.run(main())


@settings(max_examples=100, deadline=None)
@given(delays_s=st.lists(st.floats(0.001, 50, allow_nan=False), min_size=1, max_size=30))
def test_a_delayed_key_is_never_late(delays_s: list[float]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        queue: WorkQueue[str] = WorkQueue()
        for delay_s in delays_s:
            queue.add_after("a", delay_s)
        await queue.get()
        assert loop.time() == pytest.approx(min(delays_s), abs=1e-6)

    virtual_time.run(main())
