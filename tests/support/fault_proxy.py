"""A proxy in front of the real API server that does to requests what networks and servers do to them.

Owns the faults: answers in the server's place, losing the server's answer, refusing, holding back and cutting
watches, and slipping lines into them. Everything else passes unchanged, with the administrator's certificate. It
speaks plain HTTP on the loopback interface, and keeps a log of the requests it saw.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from aiohttp import web
from kubernetes.aio.client import Configuration

from assay.kube import auth

Match = Callable[[web.BaseRequest], bool]

_HOP_BY_HOP = {"host", "connection", "transfer-encoding", "content-length", "content-encoding", "accept-encoding"}


def watches(plural: str) -> Match:
    """Match watches of a kind."""
    return lambda request: request.path.endswith(f"/{plural}") and request.query.get("watch") == "true"


def lists(plural: str) -> Match:
    """Match lists of a kind."""
    return lambda request: request.path.endswith(f"/{plural}") and "watch" not in request.query


def writes(part: str = "") -> Match:
    """Match writes to paths that contain `part`."""
    return lambda request: request.method != "GET" and part in request.path


@dataclass
class Fault:
    """What to do with the next `times` requests that match: answer with `status`, or (status 0) lose the answer."""

    match: Match
    status: int = 0
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    times: int = 1


@dataclass
class FaultProxy:
    """A running proxy: see `running`."""

    session: aiohttp.ClientSession
    upstream: str
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str]] = field(default_factory=list)
    refusing: bool = False

    def __post_init__(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._watches: dict[web.StreamResponse, tuple[web.BaseRequest, asyncio.Lock]] = {}

    @property
    def configuration(self) -> Configuration:
        """How to reach the API server through the proxy."""
        configuration = Configuration(host=f"http://127.0.0.1:{self.port}")
        configuration.client_session_kwargs = {"trust_env": False}
        return configuration

    def add(self, fault: Fault) -> None:
        """Do this from now on, once or `times` times."""
        self.faults.append(fault)

    def refuse(self) -> None:
        """Cut every connection, and every new one, until `accept`."""
        self.refusing = True
        self.cut_watches()

    def accept(self) -> None:
        """End `refuse`."""
        self.refusing = False

    def freeze(self) -> None:
        """Hold back what watches bring, without a word, until `thaw`."""
        self._flowing.clear()

    def thaw(self) -> None:
        """End `freeze`."""
        self._flowing.set()

    def cut_watches(self, rest: bytes = b"") -> None:
        """End all open watches, after `rest`, in the middle of the answer."""
        for request, _ in self._watches.values():
            if request.transport:
                if rest:
                    request.transport.write(b"%x\r\n%s\r\n" % (len(rest), rest))
                request.transport.abort() if not rest else request.transport.close()

    async def inject(self, plural: str, line: bytes) -> int:
        """Slip a line into the open watches of a kind; returns into how many."""
        count = 0
        for response, (request, lock) in list(self._watches.items()):
            if request.path.endswith(f"/{plural}"):
                async with lock:
                    await response.write(line)
                count += 1
        return count

    def open_watches(self, plural: str) -> int:
        """How many watches of a kind are open."""
        return sum(request.path.endswith(f"/{plural}") for request, _ in self._watches.values())

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass one request on, or not. Where either side breaks the connection, the other's is broken too."""
        try:
            return await self._handle(request)
        except (aiohttp.ClientError, ConnectionError):
            return _abort(request)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs))
        if self.refusing:
            return _abort(request)
        fault = next((f for f in self.faults if f.match(request)), None)
        if fault:
            fault.times -= 1
            if fault.times <= 0:
                self.faults.remove(fault)
            await asyncio.sleep(fault.delay_s)
            if fault.status:
                return web.Response(status=fault.status, text=fault.body, headers=fault.headers)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self.session.request(
            request.method,
            self.upstream + request.path_qs,
            data=await request.read() or None,
            headers=headers,
            skip_auto_headers={"Accept", "Content-Type", "User-Agent"},
        ) as answer:
            if fault:
                await answer.read()
                return _abort(request)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            is_watch = request.query.get("watch") == "true"
            lock = asyncio.Lock()
            if is_watch:
                self._watches[response] = (request, lock)
            try:
                async for chunk in answer.content.iter_any():
                    if is_watch:
                        await self._flowing.wait()
                    async with lock:
                        await response.write(chunk)
                await response.write_eof()
            finally:
                self._watches.pop(response, None)
            return response


def _abort(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport:
        request.transport.abort()
    return web.Response(status=502)


@contextlib.asynccontextmanager
async def running(kubeconfig: Path) -> AsyncIterator[FaultProxy]:
    """A proxy to the API server of a kubeconfig, while the context lasts."""
    configuration = await auth.load(kubeconfig)
    connector = aiohttp.TCPConnector(limit=0, ssl=auth.ssl_context(configuration))
    limits = aiohttp.ClientTimeout(total=None, sock_connect=5)
    async with aiohttp.ClientSession(connector=connector, timeout=limits, auto_decompress=True) as session:
        proxy = FaultProxy(session, configuration.host)
        server = web.Server(proxy.handle, access_log=None, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        proxy.port = runner.addresses[0][1]
        try:
            yield proxy
        finally:
            proxy.thaw()
            proxy.cut_watches()
            await runner.cleanup()
