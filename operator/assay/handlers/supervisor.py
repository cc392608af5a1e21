"""kopf, kept running and kept apart.

Owns kopf's thread and its restarts. kopf takes every task that is created on its loop for its own and cancels it
when it ends, takes over the signals of the main thread, and ends on watch errors that are no reason to end. So it
runs on a thread and a loop of its own, and is started again whenever it ends unasked, or when one of its watches
has been silent for too long. It must never share a task, a lock or an event with the caller's loop. Invariant:
sinks are called on the caller's loop only, in the order of kopf's events.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from assay.handlers import registry, session, settings
from assay.handlers.registry import Sink
from assay.runtime.backoff import Backoff

log = logging.getLogger(__name__)

_STOP_S = 4.0  # with the next, less than an election waits for a leading task to end
_STOP_ZOMBIE_S = 1.0
_ABANDON_S = 3.0
_STEADY_S = 60.0  # a run this long was not a failure to start
_ORDERLY_S = 1.5  # for kopf's tasks to end theirs; without trouble it takes a tenth of it
_LOOK_S = 2.0
# kopf asks again at most 8 s after a failure (see settings); a kind left alone for longer than this has no task any
# more.
_GIVEN_UP_S = 20.0


class StuckError(Exception):
    """kopf's thread does not end though it was asked to: only the end of the process makes it safe to watch again."""


class KopfWatcher:
    """Watches kinds of one API group with kopf, and hands every event to the sink of its plural name.

    `on_relist` hears the plural of each kind that was listed again after its first LIST. Then objects may have
    vanished without an event, and kopf keeps no record of them: the caller compares with a LIST of its own.
    """

    def __init__(
        self,
        configuration: Configuration,
        group: str,
        version: str,
        sinks: Mapping[str, Sink],
        *,
        on_relist: Callable[[str], None],
        on_restart: Callable[[], None] | None = None,
        backoff: Backoff | None = None,
        silence_limit_s: float = 180.0,
    ) -> None:
        self._configuration = configuration
        self._group = group
        self._version = version
        self._sinks = dict(sinks)
        self._on_relist = on_relist
        self._on_restart = on_restart
        self._backoff = backoff or Backoff(base_s=1.0, cap_s=30.0)
        self._silence_limit_s = silence_limit_s
        self._listed: set[str] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._progress = session.Progress(self._sinks, self._tell_listed)
        self._synced = asyncio.Event()
        self.restarts = 0

    def silences_s(self) -> dict[str, float]:
        """How long each kind has brought neither event nor bookmark nor list, in seconds."""
        return self._progress.silences_s()

    async def wait_synced(self) -> None:
        """Wait until every kind was listed once."""
        await self._synced.wait()

    async def run(self) -> None:
        """Keep kopf watching until cancelled; then stop it and wait for its thread. Raises `StuckError`."""
        self._loop = asyncio.get_running_loop()
        while True:
            started_s = self._loop.time()
            self._progress.restart()
            ended = await self._run_once()
            if self._loop.time() - started_s > _STEADY_S:
                self._backoff.reset()
            self.restarts += 1
            if self._on_restart:
                self._on_restart()
            wait_s = self._backoff.next_s()
            log.warning("kopf ended, starting it again in %.1f s: %s", wait_s, ended)
            await asyncio.sleep(wait_s)

    async def _run_once(self) -> str:
        """One life of kopf. Returns why it ended; when cancelled, stops it first."""
        run = _Run(self._configuration, self._group, self._version, self._sinks_across(), self._progress)
        run.start()
        try:
            while not await run.ended(_LOOK_S):
                if reason := self._zombie():
                    await self._stop(run, _STOP_ZOMBIE_S)
                    return reason
            return run.why()
        finally:
            await self._stop(run, _STOP_S)

    def _zombie(self) -> str | None:
        """Why kopf, though it runs, watches no more: seen after a failure while another watch was being opened."""
        if given_up := self._progress.given_up(_GIVEN_UP_S):
            return f"it gave up watching {', '.join(given_up)}"
        silent = {name: s for name, s in self.silences_s().items() if s > self._silence_limit_s}
        if silent:
            return f"its watches were silent: {', '.join(f'{name} for {s:.0f} s' for name, s in silent.items())}"
        return None

    @staticmethod
    async def _stop(run: "_Run", grace_s: float) -> None:
        run.ask_to_stop()
        if await run.ended(grace_s):
            return
        run.abandon()
        if not await run.ended(_ABANDON_S):
            raise StuckError("kopf's thread does not end, not even without its tasks; end the process")

    def _sinks_across(self) -> dict[str, Sink]:
        return {plural: self._across(sink) for plural, sink in self._sinks.items()}

    def _across(self, sink: Sink) -> Sink:
        """The sink as kopf's thread may call it."""

        def call(kind: str | None, obj: Mapping[str, object]) -> None:
            self._call_on_loop(sink, kind, obj)

        return call

    def _tell_listed(self, plural: str) -> None:
        self._call_on_loop(self._note_list, plural)

    def _note_list(self, plural: str) -> None:
        if plural in self._listed:
            self._on_relist(plural)
        self._listed.add(plural)
        if self._listed >= self._sinks.keys():
            self._synced.set()

    def _call_on_loop(self, call: Callable[..., None], *args: Any) -> None:  # noqa: ANN401 - passed through
        if self._loop is None or self._loop.is_closed():
            return
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:  # the loop was closed in this very moment: the process ends
            log.debug("an event came after the end")


class _Run:
    """One life of kopf, on its own thread and loop. All methods are called from the caller's loop."""

    def __init__(
        self,
        configuration: Configuration,
        group: str,
        version: str,
        sinks: Mapping[str, Sink],
        progress: session.Progress,
    ) -> None:
        self._configuration = configuration
        self._group = group
        self._version = version
        self._sinks = sinks
        self._progress = progress
        self._owner = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._lock = threading.Lock()  # guards the two below: stopping may race with starting
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._asked = False
        # A daemon, so that a thread that hangs cannot keep a process alive that wants to end.
        self._thread = threading.Thread(target=self._live, name="kopf", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Set kopf's stop flag, now or as soon as there is one."""
        with self._lock:
            self._asked = True
            if self._stop and not self._stop[0].is_closed():
                self._stop[0].call_soon_threadsafe(self._stop[1].set)

    def abandon(self) -> None:
        """Stop the loop under kopf's feet: its tasks are cancelled, and not waited for if they do not end."""
        with self._lock:
            if self._stop and not self._stop[0].is_closed():
                self._stop[0].call_soon_threadsafe(self._stop[0].stop)

    async def ended(self, within_s: float) -> bool:
        """Whether the thread has ended, waiting for it for a while."""
        try:
            async with asyncio.timeout(within_s):
                await self._ended.wait()
        except TimeoutError:
            return False
        self._thread.join(1.0)  # it has said its last word, and only has to return
        return True

    def why(self) -> str:
        """Why it ended."""
        return repr(self._failure) if self._failure else "without a reason given"

    def _live(self) -> None:
        # Not asyncio.run: it waits for every task, and kopf has been seen to leave one that never ends.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._watch(loop))
        except BaseException as error:  # noqa: BLE001 - whatever ended kopf, the supervisor must learn of it
            self._failure = error
        finally:
            with self._lock:
                self._stop = None
            _wind_up(loop)
            if not self._owner.is_closed():
                self._owner.call_soon_threadsafe(self._ended.set)

    async def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        # An asyncio event of this very loop: kopf would wait for a threading one in an executor, and never end
        # after a failure.
        stop = asyncio.Event()
        with self._lock:
            self._stop = (loop, stop)
            if self._asked:
                return
        # What kopf.operator does, without its end: that waits for its other tasks, which takes 5 s, and without end
        # for a task whose watch was just being opened. Here the first task to end is the end, and _wind_up sees to
        # the others.
        tasks = await kopf.spawn_tasks(
            registry=registry.build(
                self._group, self._version, self._sinks, session.login(self._configuration, self._progress)
            ),
            settings=settings.build(),
            standalone=True,
            # Without one, kopf asks the system for a user name, which a container's numeric user does not have.
            identity="assay",  # type: ignore[arg-type]  # a NewType of str that kopf does not export
            clusterwide=True,
            stop_flag=stop,
        )
        ended, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # Its own tasks first: they end theirs in order. Were all cancelled at once, each watcher would wait for a
        # scheduler that no longer works.
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=_ORDERLY_S)
        for task in ended:
            task.result()


def _wind_up(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left on a loop, wait for it a little, and close the loop."""

    async def cancel_all() -> None:
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for _ in range(4):  # kopf's own clean-up waits for the others, until it is cancelled a second time
            for task in left:
                task.cancel()
            if left:
                _, left = await asyncio.wait(left, timeout=0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await loop.shutdown_asyncgens()

    try:
        loop.run_until_complete(cancel_all())
    finally:
        loop.close()
