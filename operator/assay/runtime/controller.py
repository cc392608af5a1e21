"""The controller: workers that take keys from a queue and reconcile them until they hold.

Owns retries, time limits and the one log line of a failure. It must never know what a key means. Invariants: a key
is in work at most once at a time; a failed key comes back after its backoff; every key taken is given back,
whatever happens.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from assay.runtime.backoff import KeyedBackoff
from assay.runtime.observer import ControllerObserver, Outcome, Unobserved
from assay.runtime.workqueue import WorkQueue

log = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Result:
    """What a reconcile that succeeded asks for.

    To be called again within `requeue_after_s` seconds, or only on a change.
    """

    requeue_after_s: float | None = None


class Controller(Generic[K]):
    """Runs `reconcile` for every key of `queue`, `workers` at a time, each call for at most `timeout_s` seconds.

    `expected` are errors that the world causes (a conflict, an unreachable server): they are logged in one line
    without a stack trace. An error may carry `retry_after_s`; the key then waits at least that long.
    """

    def __init__(
        self,
        name: str,
        queue: WorkQueue[K],
        reconcile: Callable[[K], Awaitable[Result]],
        *,
        workers: int = 4,
        timeout_s: float = 60.0,
        backoff: KeyedBackoff[K] | None = None,
        expected: tuple[type[Exception], ...] = (),
        observer: ControllerObserver | None = None,
    ) -> None:
        self.name = name
        self.queue = queue
        self.timeout_s = timeout_s
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff or KeyedBackoff()
        self._expected = expected
        self._observer = observer or Unobserved()
        self._active = 0

    @property
    def active_workers(self) -> int:
        """How many workers are reconciling now."""
        return self._active

    def stuck_for_s(self) -> float:
        """How long work has outstayed its time limit, in seconds: 0 while the workers make progress."""
        return max(0.0, self.queue.longest_work_s() - self.timeout_s)

    async def run(self) -> None:
        """Work until the queue is closed and drained.

        Cancelling it cancels the reconciles in flight and waits for them.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self.name}-{number}")

    async def _work(self) -> None:
        while (key := await self.queue.get()) is not None:
            self._set_active(+1)
            try:
                await self._reconcile_once(key)
            finally:
                self._set_active(-1)
                self.queue.done(key)

    async def _reconcile_once(self, key: K) -> None:
        started = asyncio.get_running_loop().time()
        outcome: Outcome
        limit = asyncio.timeout(self.timeout_s)
        try:
            async with limit:
                result = await self._reconcile(key)
        except Exception as error:  # noqa: BLE001 - whatever one key does must not take the worker from the others
            outcome = "timeout" if limit.expired() else "error"
            self._retry(key, error, timed_out=limit.expired())
        except asyncio.CancelledError as error:
            # Ours if this worker is being cancelled. Else the reconcile awaited a task that somebody cancelled: its
            # failure, which must not end the worker (a task group takes a cancelled child for a finished one,
            # without a word).
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            outcome = "error"
            self._retry(key, RuntimeError("a task that it awaited was cancelled"), cause=error)
        else:
            outcome = "success" if result.requeue_after_s is None else "requeue_after"
            self._backoff.succeeded(key)
            if result.requeue_after_s is not None:
                self.queue.add_after(key, result.requeue_after_s)
        self._observer.reconciled(outcome, asyncio.get_running_loop().time() - started)

    def _retry(self, key: K, error: Exception, *, timed_out: bool = False, cause: BaseException | None = None) -> None:
        wait_s = max(self._backoff.failed(key), getattr(error, "retry_after_s", None) or 0.0)
        self.queue.add_after(key, wait_s)
        details = {"controller": self.name, "key": str(key), "failures": self._backoff.failures(key), "retry_s": wait_s}
        if timed_out:
            log.warning("reconcile of %s %s took over %g s: cut off", self.name, key, self.timeout_s, extra=details)
        elif isinstance(error, self._expected):
            log.warning("reconcile of %s %s failed: %s", self.name, key, error, extra=details)
        else:
            log.error("reconcile of %s %s hit a bug: %r", self.name, key, error, exc_info=cause or error, extra=details)

    def _set_active(self, step: int) -> None:
        self._active += step
        self._observer.active_workers(self._active)
