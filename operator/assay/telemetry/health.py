"""Health that looks at progress, and the server that tells it.

Owns /healthz, /readyz and /metrics. A process that runs is not healthy for it: healthy means that watches bring
events or bookmarks, that workers finish what they take, and that the event loop runs its timers in time. It must
never make a request of its own: a probe that depends on the API server would restart every operator when that one
is down.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

_LAG_PERIOD_S = 0.5


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to hold. `complaint` returns None, or what is wrong; it must neither wait nor raise."""

    name: str
    complaint: Callable[[], str | None]


def at_most(name: str, value_s: Callable[[], float], limit_s: float, remedy: str) -> Check:
    """A check that some age, in seconds, stays below a limit."""

    def complaint() -> str | None:
        value = value_s()
        return None if value <= limit_s else f"{value:.0f} s, at most {limit_s:g} s expected; {remedy}"

    return Check(name, complaint)


class LoopLag:
    """How late the event loop runs its timers: the time it spends in calls that do not give way."""

    def __init__(self, observe: Callable[[float], None] | None = None) -> None:
        self._observe = observe
        self._due_at_s: float | None = None
        self._last_s = 0.0

    def lag_s(self) -> float:
        """The last measured lag, or the present one if it is worse already."""
        overdue_s = asyncio.get_running_loop().time() - self._due_at_s if self._due_at_s is not None else 0.0
        return max(self._last_s, overdue_s, 0.0)

    async def run(self) -> None:
        """Measure twice a second until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            self._due_at_s = loop.time() + _LAG_PERIOD_S
            await asyncio.sleep(_LAG_PERIOD_S)
            self._last_s = max(0.0, loop.time() - self._due_at_s)
            if self._observe:
                self._observe(self._last_s)


def health_app(live: Sequence[Check], ready: Sequence[Check] = ()) -> web.Application:
    """An app that answers /healthz from `live` and /readyz from `ready`.

    200 `ok`, or 503 and the complaints as JSON.
    """
    app = web.Application()
    app.router.add_get("/healthz", _answer(live))
    app.router.add_get("/readyz", _answer(ready))
    return app


def metrics_app(registry: CollectorRegistry) -> web.Application:
    """An app that answers /metrics, in the format that the scraper asks for."""

    async def scrape(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(registry), headers={"Content-Type": content_type})

    app = web.Application()
    app.router.add_get("/metrics", scrape)
    return app


@contextlib.asynccontextmanager
async def serving(app: web.Application, port: int, host: str | None = None) -> AsyncIterator[int]:
    """Serve `app` on all interfaces (or on `host`) while the context lasts.

    Gives the port, which 0 lets the system choose.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _answer(checks: Sequence[Check]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.StreamResponse:
        complaints = {check.name: complaint for check in checks if (complaint := check.complaint())}
        if complaints:
            return web.json_response({"complaints": complaints}, status=503)
        return web.Response(text="ok")

    return answer
