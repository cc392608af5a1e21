"""Events: what users see in `kubectl describe`.

Owns the writing of Events, deduplicated and rate limited per object. It must never hold up or fail a reconcile:
emitting only puts into a bounded buffer, and an Event that cannot be written is dropped and counted. Invariant: the
same news about the same object is one Event whose count grows, not many Events.
"""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Literal

from assay.kube import errors
from assay.kube.client import KubeClient
from assay.kube.resources import EVENTS, Object, ObjectRef
from assay.runtime.clock import Clock, SystemClock

log = logging.getLogger(__name__)

EventKind = Literal["Normal", "Warning"]

_NOTE_BYTES = 1024  # the API's limit
_BUFFER = 1000
_REMEMBERED = 4096
# The same news again is written at most once in this time, as a count; so a hot loop costs one write a few minutes.
_REPEAT_S = 300.0
# An object may have this many different Events at once, and one more in each period: client-go's spam filter.
_BURST = 25
_REFILL_S = 300.0


@dataclass(frozen=True, slots=True)
class _News:
    about: ObjectRef
    kind: EventKind
    reason: str
    note: str
    action: str


@dataclass(slots=True)
class _Series:
    count: int
    written_count: int
    written_at_s: float
    resource: ObjectRef


@dataclass(slots=True)
class _Allowance:
    tokens: float
    at_s: float


class Recorder:
    """Writes Events in the background: `emit` from anywhere in the loop, `run` as a task."""

    def __init__(self, client: KubeClient, component: str, instance: str, clock: Clock | None = None) -> None:
        self._client = client
        self._component = component
        self._instance = instance
        self._clock = clock or SystemClock()
        self._buffer: asyncio.Queue[_News] = asyncio.Queue(_BUFFER)
        self._series: OrderedDict[_News, _Series] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()
        self.dropped = 0

    def emit(self, about: ObjectRef, kind: EventKind, reason: str, note: str, *, action: str = "Reconcile") -> None:
        """Tell `note` about an object. `reason` is a CamelCase word; the note is cut to 1 KiB."""
        try:
            self._buffer.put_nowait(_News(about, kind, reason, _cut(note), action))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write what was emitted, until cancelled."""
        while True:
            news = await self._buffer.get()
            try:
                await self._write(news)
            except errors.KubeError as error:
                self.dropped += 1
                log.debug("event %s of %s not written: %s", news.reason, news.about, error)

    async def _write(self, news: _News) -> None:
        series = self._series.get(news)
        if series is not None:
            self._series.move_to_end(news)
            await self._repeat(news, series)
            return
        if not self._allowed(news.about):
            self.dropped += 1
            return
        event = self._event(news)
        await self._client.create(event, field_manager=self._component)
        self._series[news] = _Series(1, 1, monotonic(), ObjectRef.of(event))
        while len(self._series) > _REMEMBERED:
            self._series.popitem(last=False)

    async def _repeat(self, news: _News, series: _Series) -> None:
        series.count += 1
        if monotonic() - series.written_at_s < _REPEAT_S:
            return
        observed = {"count": series.count, "lastObservedTime": _micro_time(self._clock.now())}
        try:
            await self._client.patch_merge(series.resource, {"series": observed}, field_manager=self._component)
        except errors.NotFound:  # Events live an hour
            del self._series[news]
            await self._write(news)
            return
        series.written_at_s = monotonic()

    def _allowed(self, about: ObjectRef) -> bool:
        now_s = monotonic()
        owner = about.uid or str(about)
        allowance = self._allowances.setdefault(owner, _Allowance(_BURST, now_s))
        self._allowances.move_to_end(owner)
        while len(self._allowances) > _REMEMBERED:
            self._allowances.popitem(last=False)
        allowance.tokens = min(_BURST, allowance.tokens + (now_s - allowance.at_s) / _REFILL_S)
        allowance.at_s = now_s
        if allowance.tokens < 1:
            return False
        allowance.tokens -= 1
        return True

    def _event(self, news: _News) -> Object:
        about, now = news.about, self._clock.now()
        regarding = {
            "apiVersion": about.api_version,
            "kind": about.kind,
            "namespace": about.namespace,
            "name": about.name,
            "uid": about.uid,
        }
        identity = f"{self._instance}/{about.uid}/{news.reason}/{news.note}/{now.isoformat()}"
        suffix = hashlib.sha256(identity.encode()).hexdigest()[:16]
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"namespace": about.namespace or "default", "name": f"{about.name[:230]}.{suffix}"},
            "eventTime": _micro_time(now),
            "reportingController": self._component,
            "reportingInstance": self._instance[:128],
            "type": news.kind,
            "reason": news.reason,
            "action": news.action,
            "note": news.note,
            "regarding": {name: value for name, value in regarding.items() if value},
        }


def _micro_time(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(note: str) -> str:
    data = note.encode()
    return note if len(data) <= _NOTE_BYTES else data[: _NOTE_BYTES - 3].decode(errors="ignore") + "..."
