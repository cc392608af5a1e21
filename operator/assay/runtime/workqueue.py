"""The work queue: which keys want attention, each at most once.

Owns the semantics of client-go's queue for one event loop. Adding a key that waits already changes nothing; adding
one that is being worked on hands it out again after `done`. So bursts collapse, and no two workers ever hold the
same key. It must never be touched from another thread. Invariant: after an `add(key)`, `get` hands the key out at
least once more.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from assay.runtime.observer import QueueObserver, Unobserved

K = TypeVar("K", bound=Hashable)

# Superseded deadlines stay in the heap until their time comes; beyond this surplus they are swept out.
_STALE_ALLOWED = 64


class WorkQueue(Generic[K]):
    """A coalescing queue of keys with delayed adds. Closing it drains what is ready and drops what is delayed."""

    def __init__(self, observer: QueueObserver | None = None) -> None:
        self._observer = observer or Unobserved()
        self._ready: deque[K] = deque()
        self._queued_at: dict[K, float] = {}  # keys that want a turn: in _ready, or in work and added again
        self._working_since: dict[K, float] = {}
        self._deadlines: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0  # breaks ties, so that keys need no order of their own
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    def __len__(self) -> int:
        """How many keys are ready to be handed out."""
        return len(self._ready)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def delayed(self) -> int:
        """How many keys wait for their time."""
        return len(self._deadlines)

    def oldest_wait_s(self) -> float:
        """How long the key at the head has been ready, in seconds; 0 when none is."""
        return self._now() - self._queued_at[self._ready[0]] if self._ready else 0.0

    def longest_work_s(self) -> float:
        """How long the slowest key in work has been worked on, in seconds; 0 when none is."""
        return self._now() - min(self._working_since.values()) if self._working_since else 0.0

    def add(self, key: K) -> None:
        """Ask for `key` to be handed out. No-op if it waits already, or if the queue is closed."""
        if self._closed or key in self._queued_at:
            return
        self._queued_at[key] = self._now()
        if key not in self._working_since:
            self._make_ready(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Ask for `key` to be handed out no later than `delay_s` seconds from now; the earliest of several wins."""
        if self._closed:
            return
        self._observer.retried()
        if delay_s <= 0:
            self.add(key)
            return
        deadline = self._now() + delay_s
        if key in self._deadlines and self._deadlines[key] <= deadline:
            return
        self._deadlines[key] = deadline
        self._push(deadline, key)
        self._sweep()
        self._arm()

    async def get(self) -> K | None:
        """The next key, waiting for one; None once the queue is closed and drained. Pair each key with `done`."""
        while not self._ready:
            if self._closed:
                return None
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # A cancelled waiter may have been woken for a key already: pass the turn on, or the key would sleep.
                if not waiter.cancelled():
                    self._wake_one()
                raise
            finally:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
        key = self._ready.popleft()
        now = self._now()
        waited_s = now - self._queued_at.pop(key)
        self._working_since[key] = now
        self._observer.handed_out(len(self._ready), waited_s)
        return key

    def done(self, key: K) -> None:
        """Give back a key that `get` returned. It is ready again at once if it was added meanwhile."""
        since = self._working_since.pop(key)
        self._observer.finished(self._now() - since)
        if key in self._queued_at:
            self._make_ready(key)

    def close(self) -> None:
        """Accept nothing more, drop the delayed keys, hand out what is ready, then make every `get` return None."""
        self._closed = True
        self._deadlines.clear()
        self._heap.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            self._wake_one()

    def _make_ready(self, key: K) -> None:
        self._ready.append(key)
        self._observer.added(len(self._ready))
        self._wake_one()

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _push(self, deadline: float, key: K) -> None:
        self._sequence += 1
        heapq.heappush(self._heap, (deadline, self._sequence, key))

    def _sweep(self) -> None:
        if len(self._heap) <= 2 * len(self._deadlines) + _STALE_ALLOWED:
            return
        self._heap.clear()
        for key, deadline in self._deadlines.items():
            self._push(deadline, key)

    def _arm(self) -> None:
        """Point the one timer at the earliest deadline."""
        if self._timer:
            if self._heap and self._timer.when() == self._heap[0][0]:
                return
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._ripen)

    def _ripen(self) -> None:
        self._timer = None
        # The loop may fire up to its clock's resolution early: what the timer was armed for is due, whatever the
        # clock says.
        now = max(self._now(), self._heap[0][0]) if self._heap else self._now()
        while self._heap and self._heap[0][0] <= now:
            deadline, _, key = heapq.heappop(self._heap)
            if self._deadlines.get(key) == deadline:
                del self._deadlines[key]
                self.add(key)
        self._arm()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
