"""A way to the API server on which the operator can be killed at an exact write.

Before it: the server never hears of it. After it: the server has carried it out, and the operator never learns. Between
these two lies every state that a crash can leave behind. Owns its thread. It counts the writes that carry an epoch on:
what is created and deleted, and every status. Children that are applied once more after a start, events and the Lease
do not count.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
from aiohttp import web

from assay.kube import auth
from fault_proxy import _HOP_BY_HOP, FaultProxy, _abort


def is_decisive(request: web.BaseRequest) -> bool:
    """Whether a request carries an epoch on."""
    if "/leases" in request.path or "/events" in request.path:
        return False
    return request.method in {"POST", "DELETE"} or (request.method == "PATCH" and request.path.endswith("/status"))


class _Killing(FaultProxy):
    """Strikes once at the `left`th write from now."""

    def __init__(self, session: aiohttp.ClientSession, upstream: str) -> None:
        super().__init__(session, upstream)
        self.left = 0
        self.is_before = True
        self.strike: Callable[[], None] = lambda: None
        self.struck: list[str] = []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.left == 0 or not is_decisive(request):
            return await super().handle(request)
        self.left -= 1
        if self.left > 0:
            return await super().handle(request)
        if not self.is_before:
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
            async with self.session.request(
                request.method, self.upstream + request.path_qs, data=await request.read(), headers=headers
            ) as answer:
                await answer.read()
        self.struck.append(f"{request.method} {request.path}")
        self.strike()
        return _abort(request)


class KillingProxy:
    """The proxy, running in a thread of its own. Use it as a context.

    Clients bring their own token: the proxy has no rights of its own.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig
        self._started = threading.Event()
        self._struck = threading.Event()
        self._ends: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxy: _Killing | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="killing proxy", daemon=True)

    def __enter__(self) -> KillingProxy:
        self._thread.start()
        assert self._started.wait(10), "the proxy did not start"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._ends is not None
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join(10)

    @property
    def address(self) -> str:
        """Where it listens."""
        assert self._proxy is not None
        return f"http://127.0.0.1:{self._proxy.port}"

    def arm(self, writes: int, strike: Callable[[], None], *, is_before: bool) -> None:
        """Strike at the `writes`th write from now, before or after the server carries it out."""
        assert self._proxy is not None
        assert self._loop is not None
        proxy = self._proxy

        def once() -> None:
            strike()
            self._struck.set()

        def set_up() -> None:
            proxy.strike, proxy.is_before, proxy.left = once, is_before, writes

        self._struck.clear()
        self._loop.call_soon_threadsafe(set_up)

    @property
    def struck(self) -> list[str]:
        """The requests at which it has struck."""
        assert self._proxy is not None
        return list(self._proxy.struck)

    def wait_struck(self, timeout_s: float) -> bool:
        """Wait until it has struck; False if it did not in time."""
        return self._struck.wait(timeout_s)

    async def _serve(self) -> None:
        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        configuration = await auth.load(self._kubeconfig)
        connector = aiohttp.TCPConnector(limit=0, ssl=auth.ssl_context(configuration))
        limits = aiohttp.ClientTimeout(total=None, sock_connect=5)
        async with aiohttp.ClientSession(connector=connector, timeout=limits) as session:
            self._proxy = _Killing(session, configuration.host)
            runner = web.ServerRunner(web.Server(self._proxy.handle), shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._proxy.port = runner.addresses[0][1]
            self._started.set()
            await self._ends.wait()
            with suppress(Exception):  # connections of whoever was killed
                self._proxy.cut_watches()
            await runner.cleanup()
