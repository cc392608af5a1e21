"""The HTTP session that kopf watches with.

Owns what kopf has no hook for: the same credentials as our client, read anew for every request, and the moments at
which each kind was listed and each watch brought bytes. Bookmarks never reach kopf's handlers, so only here it
shows whether a quiet watch lives. It must never change a request or an answer beyond the Authorization header. It
lives on kopf's loop; what it notes is read from another thread, so that is plain floats and ints, each written by
one side only.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from time import monotonic
from typing import cast

import aiohttp
import kopf
from aiohttp.hdrs import AUTHORIZATION
from kubernetes.aio.client import Configuration

from assay.handlers.registry import Login
from assay.kube import auth


class Progress:
    """When each kind last showed a sign of life, and how often it was listed."""

    def __init__(self, plurals: Iterable[str], on_list: Callable[[str], None]) -> None:
        self._on_list = on_list
        self._last_s = dict.fromkeys(plurals, monotonic())

    def restart(self) -> None:
        """Start to count silence from now: a new run begins."""
        for plural in self._last_s:
            self._last_s[plural] = monotonic()

    def received(self, plural: str) -> None:
        """A watch brought bytes."""
        if plural in self._last_s:
            self._last_s[plural] = monotonic()

    def listed(self, plural: str) -> None:
        """The first page of a LIST came."""
        if plural in self._last_s:
            self._last_s[plural] = monotonic()
            self._on_list(plural)

    def silences_s(self) -> dict[str, float]:
        """How long each kind has been silent, in seconds. A healthy watch stays below about 65."""
        now_s = monotonic()
        return {plural: now_s - last_s for plural, last_s in self._last_s.items()}


class _Tapped:
    """A response's content that tells when bytes come. Everything else is the content's own."""

    def __init__(self, content: aiohttp.StreamReader, tell: Callable[[], None]) -> None:
        self._content = content
        self._tell = tell

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_chunked(size):
            self._tell()
            yield chunk


def login(configuration: Configuration, progress: Progress) -> Login:
    """A login handler for kopf that opens such a session. kopf closes it at its end, and logs in again after a 401."""

    async def middleware(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if header := await auth.bearer(configuration):
            request.headers[AUTHORIZATION] = header
        response = await handler(request)
        plural = request.url.path.rpartition("/")[2]
        if request.url.query.get("watch") == "true":
            content = _Tapped(response.content, lambda: progress.received(plural))
            response.content = cast(aiohttp.StreamReader, content)
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
