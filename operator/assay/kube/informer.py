"""The watch cache's eyes: keeps a store equal to what the API server holds.

Owns the loop of LIST and WATCH and its recovery. A watch resumes where it ended; where the server has forgotten
that point (410), a LIST is compared with the store, so that what vanished meanwhile is told. A failure to read
never deletes anything. Invariants: the loop never ends by itself, never spins, and never waits for ever on a silent
connection.
"""

import asyncio
import contextlib
import logging
from typing import Protocol

from assay.kube import errors
from assay.kube.client import KubeClient, Resource
from assay.kube.store import Store
from assay.runtime.backoff import Backoff

log = logging.getLogger(__name__)

# A watch that the server closes sooner than this counts as a failure, or a server that accepts and closes would be
# stormed.
_HEALTHY_WATCH_S = 1.0


class InformerObserver(Protocol):
    """Sees one informer. Must not raise and must not wait."""

    def listed(self, count: int) -> None:
        """A LIST was taken over: `count` objects."""
        ...

    def received(self) -> None:
        """An event or a bookmark came."""
        ...

    def interrupted(self, reason: str) -> None:
        """A LIST or WATCH failed; `reason` is the name of the error."""
        ...


class Informer:
    """Watches one resource, in one namespace or all, and keeps `store` up to date."""

    def __init__(
        self,
        client: KubeClient,
        resource: Resource,
        store: Store,
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        backoff: Backoff | None = None,
        watch_timeout_s: int = 300,
        silence_s: float = 70.0,
        observer: InformerObserver | None = None,
    ) -> None:
        self.resource = resource
        self.store = store
        self._client = client
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._backoff = backoff or Backoff(base_s=0.2, cap_s=30.0)
        self._watch_timeout_s = watch_timeout_s
        self._silence_s = silence_s
        self._observer = observer
        self._synced = asyncio.Event()
        self._resume_from: str | None = None
        self._poked = asyncio.Event()
        self._down = False
        self.last_event_monotonic = asyncio.get_running_loop().time()
        client.on_recovery(self.poke)

    @property
    def synced(self) -> bool:
        """Whether the store has held a complete list once."""
        return self._synced.is_set()

    def silent_for_s(self) -> float:
        """How long ago the last list, event or bookmark came, in seconds. A healthy watch stays below about 65."""
        return asyncio.get_running_loop().time() - self.last_event_monotonic

    async def wait_synced(self) -> None:
        """Wait until the store holds a complete list."""
        await self._synced.wait()

    def poke(self) -> None:
        """Stop waiting after a failure, try again now, and back off from the start: somebody saw the server answer.

        It may answer before it is ready, so the first attempt after an outage is often not the last.
        """
        self._backoff.reset()
        self._poked.set()

    async def run(self) -> None:
        """Keep the store up to date until cancelled."""
        while True:
            try:
                await self._follow()
            except errors.Gone as error:
                self._resume_from = None
                await self._pause(error)
            except errors.KubeError as error:
                await self._pause(error)

    async def resync(self) -> None:
        """LIST now and compare, whatever the watch says. Raises the errors of `KubeClient.list`.

        The watch goes on from where it is; the store passes over those of its events that the list already contains.
        """
        await self._list()

    async def _follow(self) -> None:
        if self._resume_from is None:
            self._resume_from = await self._list()
        started = self._now()
        events = self._client.watch(
            self.resource,
            self._resume_from,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            timeout_s=self._watch_timeout_s,
            silence_s=self._silence_s,
        )
        async with contextlib.aclosing(events):
            async for event in events:
                self.store.apply_event(event.type, event.object)
                self._resume_from = event.resource_version
                self._progressed()
                if self._observer:
                    self._observer.received()
        if self._now() - started < _HEALTHY_WATCH_S:
            raise errors.Unreachable(f"watch {self.resource}", "closed by the server at once")
        self._recovered()

    async def _list(self) -> str:
        items, resource_version = await self._client.list(
            self.resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
        )
        self.store.replace(items, resource_version)
        self.last_event_monotonic = self._now()
        self._synced.set()
        if self._observer:
            self._observer.listed(len(items))
        return resource_version

    def _progressed(self) -> None:
        self.last_event_monotonic = self._now()
        self._recovered()

    def _recovered(self) -> None:
        self._backoff.reset()
        if self._down:
            self._down = False
            log.info("watch of %s works again", self.resource)

    async def _pause(self, error: errors.KubeError) -> None:
        if self._observer:
            self._observer.interrupted(type(error).__name__)
        wait_s = max(self._backoff.next_s(), getattr(error, "retry_after_s", None) or 0.0)
        # One line when it breaks, one when it works again; a 410 is the server's way of saying "list again".
        if not self._down and not isinstance(error, errors.Gone):
            self._down = True
            log.warning("watch of %s interrupted, trying again: %s", self.resource, error)
        self._poked.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._poked.wait(), wait_s)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
