"""Controllers retry, respect limits, and survive whatever a reconcile does."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtual_time
from assay.runtime.backoff import KeyedBackoff
from assay.runtime.controller import Controller, Result
from assay.runtime.workqueue import WorkQueue


class Unreachable(Exception):
    retry_after_s: float | None = None


class Observed:
    def __init__(self) -> None:
        self.outcomes: list[str] = []
        self.most_active = 0

    def active_workers(self, count: int) -> None:
        self.most_active = max(self.most_active, count)

    def reconciled(self, outcome: str, took_s: float) -> None:
        self.outcomes.append(outcome)


def controller(
    reconcile: Callable[[str], Awaitable[Result]], observer: Observed | None = None, workers: int = 4
) -> Controller[str]:
    return Controller(
        "toy",
        WorkQueue(),
        reconcile,
        workers=workers,
        backoff=KeyedBackoff(base_s=1, cap_s=60, jitter=lambda: 1.0),
        expected=(Unreachable,),
        observer=observer,
    )


async def run_for(ctl: Controller[str], seconds: float, *keys: str) -> None:
    task = asyncio.create_task(ctl.run())
    for key in keys:
        ctl.queue.add(key)
    await asyncio.sleep(seconds)
    ctl.queue.close()
    await task


def test_a_failed_key_is_retried_with_growing_delay_until_it_succeeds() -> None:
    times_s: list[float] = []

    async def reconcile(_: str) -> Result:
        times_s.append(asyncio.get_running_loop().time())
        if len(times_s) < 4:
            raise Unreachable("away")
        return Result()

    async def main() -> None:
        await run_for(controller(reconcile), 100, "a")

    virtual_time.run(main())
    assert times_s == [0, 1, 3, 7]


def test_success_ends_the_backoff() -> None:
    times_s: list[float] = []

    async def reconcile(_: str) -> Result:
        times_s.append(asyncio.get_running_loop().time())
        if len(times_s) in (1, 2, 4):
            raise Unreachable
        return Result(requeue_after_s=10 if len(times_s) == 3 else None)

    async def main() -> None:
        await run_for(controller(reconcile), 100, "a")

    virtual_time.run(main())
    assert times_s == [0, 1, 3, 13, 14]


def test_requeue_after_is_kept() -> None:
    times_s: list[float] = []

    async def reconcile(_: str) -> Result:
        times_s.append(asyncio.get_running_loop().time())
        return Result(requeue_after_s=30)

    async def main() -> None:
        await run_for(controller(reconcile), 100, "a")

    virtual_time.run(main())
    assert times_s == [0, 30, 60, 90]


def test_an_error_that_names_a_time_is_obeyed() -> None:
    times_s: list[float] = []

    async def reconcile(_: str) -> Result:
        times_s.append(asyncio.get_running_loop().time())
        error = Unreachable()
        error.retry_after_s = 20
        raise error

    async def main() -> None:
        await run_for(controller(reconcile), 50, "a")

    virtual_time.run(main())
    assert times_s == [0, 20, 40]


def test_a_reconcile_that_hangs_is_cut_off_and_retried_while_others_go_on() -> None:
    done: Counter[str] = Counter()
    observed = Observed()

    async def reconcile(key: str) -> Result:
        if key == "hang":
            await asyncio.Event().wait()
        done[key] += 1
        return Result(requeue_after_s=10)

    async def main() -> None:
        await run_for(controller(reconcile, observed, workers=2), 195, "hang", "fine")

    virtual_time.run(main())
    assert done["fine"] == 20
    assert observed.outcomes.count("timeout") == 4  # at 60, 121, 183, and 247 while draining


def test_a_task_cancelled_inside_a_reconcile_costs_a_retry_and_not_the_worker() -> None:
    attempts = 0
    observed = Observed()

    async def reconcile(_: str) -> Result:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            nested = asyncio.create_task(asyncio.sleep(100))
            asyncio.get_running_loop().call_soon(nested.cancel)
            await nested
        return Result()

    async def main() -> None:
        await run_for(controller(reconcile, observed, workers=1), 10, "a")

    virtual_time.run(main())
    assert (attempts, observed.outcomes) == (2, ["error", "success"])


def test_cancelling_run_cancels_the_reconciles_in_flight_and_gives_their_keys_back() -> None:
    cleaned: list[str] = []

    async def reconcile(key: str) -> Result:
        try:
            await asyncio.sleep(1000)
        finally:
            cleaned.append(key)
        return Result()

    async def main() -> None:
        ctl = controller(reconcile)
        task = asyncio.create_task(ctl.run())
        ctl.queue.add("a")
        ctl.queue.add("b")
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (ctl.active_workers, ctl.queue.longest_work_s()) == (0, 0)

    virtual_time.run(main())
    assert sorted(cleaned) == ["a", "b"]


def test_work_that_outstays_its_limit_shows_as_stuck() -> None:
    async def reconcile(_: str) -> Result:
        for _ in range(200):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                continue  # the bug that this check is for: it swallows its cancellation
        return Result()

    async def main() -> None:
        ctl = controller(reconcile)
        task = asyncio.create_task(ctl.run())
        ctl.queue.add("a")
        await asyncio.sleep(59)
        assert ctl.stuck_for_s() == 0
        await asyncio.sleep(41)
        assert ctl.stuck_for_s() == pytest.approx(40)
        ctl.queue.close()
        await task

    virtual_time.run(main())


@pytest.mark.parametrize(
    ("error", "level", "trace"),
    [(Unreachable("gone"), logging.WARNING, False), (ZeroDivisionError("oops"), logging.ERROR, True)],
    ids=["what the world does is a warning in one line", "a bug is an error with its stack trace"],
)
def test_failures_are_logged_once_each(
    error: Exception, level: int, trace: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def reconcile(_: str) -> Result:
        raise error

    async def main() -> None:
        await run_for(controller(reconcile), 0.5, "demo/a")

    with caplog.at_level(logging.INFO, "assay"):
        virtual_time.run(main())
    (record,) = caplog.records
    assert (record.levelno, bool(record.exc_info)) == (level, trace)
    assert "toy demo/a" in record.getMessage()


@settings(max_examples=100, deadline=None)
@given(
    failures=st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 6), min_size=1),
    workers=st.integers(1, 4),
)
def test_every_key_succeeds_after_exactly_its_failures(failures: dict[str, int], workers: int) -> None:
    attempts: Counter[str] = Counter()
    running: set[str] = set()
    observed = Observed()

    async def reconcile(key: str) -> Result:
        assert key not in running
        running.add(key)
        await asyncio.sleep(0.1)
        running.discard(key)
        attempts[key] += 1
        if attempts[key] <= failures[key]:
            raise Unreachable
        return Result()

    async def main() -> None:
        await run_for(controller(reconcile, observed, workers), 1000, *failures)

    virtual_time.run(main())
    assert attempts == {key: count + 1 for key, count in failures.items()}
    assert observed.most_active <= workers
