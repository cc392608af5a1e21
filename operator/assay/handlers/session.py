"""The HTTP session that kopf watches with.

Owns what kopf has no hook for: the same credentials as our client, read anew for every request, and the moments at
which each kind was listed and each watch brought bytes. Bookmarks never reach kopf's handlers, so only here it
shows whether a quiet watch lives. It must never change a request or an answer beyond the Authorization header. It
lives on kopf's loop; what it notes is read from another thread, so that is plain floats and ints, each written by
one side only.
"""

from collections.abc import AsyncGenerator, Callable, Iterable
from time import monotonic
from typing import cast

import aiohttp
import kopf
from aiohttp.hdrs import AUTHORIZATION
from kubernetes.aio.client import Configuration

from assay.handlers.registry import Login
from assay.kube import auth


class Progress:
    """What each kind's watch is doing: when it last showed life, and whether it is open or being opened."""

    def __init__(self, plurals: Iterable[str], on_list: Callable[[str], None]) -> None:
        self._on_list = on_list
        self._alive_s = dict.fromkeys(plurals, monotonic())
        self._moved_s = dict(self._alive_s)
        self._open = dict.fromkeys(self._alive_s, 0)
        self._life = 0

    @property
    def life(self) -> int:
        """Which life of kopf is being watched: what an earlier one left behind may end late, and must not count."""
        return self._life

    def restart(self) -> None:
        """Start to count from now: a new life begins."""
        self._life += 1
        for plural in self._alive_s:
            self._alive_s[plural] = self._moved_s[plural] = monotonic()
            self._open[plural] = 0

    def moved(self, plural: str, opened: int = 0) -> None:
        """A request of a kind begins or ends; `opened` is +1 for a watch that opened, -1 for one that ended."""
        if plural in self._moved_s:
            self._moved_s[plural] = monotonic()
            self._open[plural] += opened

    def received(self, plural: str) -> None:
        """A watch brought bytes."""
        if plural in self._alive_s:
            self._alive_s[plural] = monotonic()

    def listed(self, plural: str) -> None:
        """The first page of a LIST came."""
        if plural in self._alive_s:
            self._alive_s[plural] = monotonic()
            self._on_list(plural)

    def silences_s(self) -> dict[str, float]:
        """How long each kind has been silent, in seconds. A healthy watch stays below about 65."""
        now_s = monotonic()
        return {plural: now_s - alive_s for plural, alive_s in self._alive_s.items()}

    def given_up(self, after_s: float) -> list[str]:
        """The kinds that have had no watch, and for which nothing was asked, for `after_s` seconds."""
        now_s = monotonic()
        return [p for p, count in self._open.items() if count <= 0 and now_s - self._moved_s[p] > after_s]


class _Tapped:
    """A watch's content that tells when bytes come and when it ends. Everything else is the content's own."""

    def __init__(self, content: aiohttp.StreamReader, plural: str, progress: Progress) -> None:
        self._content = content
        self._plural = plural
        self._progress = progress

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncGenerator[bytes, None]:
        life = self._progress.life
        self._progress.moved(self._plural, opened=+1)
        try:
            async for chunk in self._content.iter_chunked(size):
                self._progress.received(self._plural)
                yield chunk
        finally:
            if self._progress.life == life:
                self._progress.moved(self._plural, opened=-1)


def login(configuration: Configuration, progress: Progress) -> Login:
    """A login handler for kopf that opens such a session. kopf closes it at its end, and logs in again after a 401."""

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if header := await auth.bearer(configuration):
            request.headers[AUTHORIZATION] = header
        if configuration.tls_server_name:
            request.server_hostname = configuration.tls_server_name
        plural = request.url.path.rpartition("/")[2]
        progress.moved(plural)
        response = await handler(request)
        if request.url.query.get("watch") == "true":
            response.content = cast(aiohttp.StreamReader, _Tapped(response.content, plural, progress))
        elif response.ok and "continue" not in request.url.query:
            progress.listed(plural)
        return response

    async def log_in(**_: object) -> kopf.AiohttpSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=auth.ssl_context(configuration)),
            headers={"User-Agent": "assay-watch"},
            middlewares=(middleware,),
            proxy=configuration.proxy,
            trust_env=False,
        )
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    return log_in
