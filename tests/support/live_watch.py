"""An independent eye on the API server: a watch of the test's own, in a thread, that keeps every event it was shown.

Owns its thread and its connection. It resumes where it was cut, so that as long as the server lives no event is missed;
where the server has forgotten that point, it lists anew and says so in `relists`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import urllib3

from installed_chart import Installation

Object = dict[str, Any]


class Watch:
    """Follows one collection. Use it as a context; read it from any thread."""

    def __init__(self, server: Installation, path: str, on_event: Callable[[str, Object], None] | None = None) -> None:
        self._server = server
        self._path = path
        self._on_event = on_event
        self._changed = threading.Condition()
        self._events: list[tuple[str, Object]] = []
        self._current: dict[tuple[str, str], Object] = {}
        self._version = ""
        self._ends = threading.Event()
        self._answer: urllib3.BaseHTTPResponse | None = None
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)
        self.relists = 0

    def __enter__(self) -> Watch:
        self._list()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        answer = self._answer
        if answer is not None:
            with suppress(Exception):  # it may have ended by itself in this moment
                answer.shutdown()
        self._thread.join(10)

    def events(self) -> list[tuple[str, Object]]:
        """Every event so far, with its type; what the first list showed counts as ADDED."""
        with self._changed:
            return list(self._events)

    def objects(self) -> list[Object]:
        """What is there now."""
        with self._changed:
            return list(self._current.values())

    def get(self, name: str, namespace: str | None = None) -> Object | None:
        """The object of a name that is there now."""
        found = [one for one in self.objects() if one["metadata"]["name"] == name]
        found = [one for one in found if namespace in (None, one["metadata"].get("namespace"))]
        return found[0] if found else None

    def wait(self, holds: Callable[[], object], what: str, timeout_s: float = 30) -> None:
        """Wait until it holds, looking after every event."""
        with self._changed:
            assert self._changed.wait_for(holds, timeout_s), f"not within {timeout_s:g} s: {what}"

    def idle(self, seconds: float) -> None:
        """Let time pass, where its passing is what is tested; ends early with the watch."""
        self._ends.wait(seconds)

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                if not self._version:
                    self._list()
                    self.relists += 1
                self._follow()
            except (urllib3.exceptions.HTTPError, OSError, ValueError, AssertionError):
                self._ends.wait(0.2)

    def _list(self) -> None:
        answer = self._server.must("GET", self._path)
        items = [{"kind": answer["kind"].removesuffix("List"), **item} for item in answer["items"]]
        with self._changed:
            gone = self._current.keys() - {_key(item) for item in items}
            news = [("ADDED", item) for item in items if self._current.get(_key(item)) != item]
            news += [("DELETED", self._current[key]) for key in gone]
        self._take(news)
        self._version = answer["metadata"]["resourceVersion"]

    def _follow(self) -> None:
        query = f"watch=true&allowWatchBookmarks=true&timeoutSeconds=300&resourceVersion={self._version}"
        url = f"{self._server._api.configuration.host}{self._path}{'&' if '?' in self._path else '?'}{query}"
        pool = self._server._api.rest_client.pool_manager
        timeout = urllib3.Timeout(connect=5, read=90)
        self._answer = pool.request("GET", url, preload_content=False, timeout=timeout, retries=False)
        try:
            if self._answer.status == 410:
                self._version = ""
            if self._answer.status != 200:  # while the server starts, it knows neither roles nor kinds
                raise OSError(f"watch {self._path}: {self._answer.status}")
            for line in self._answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    self._version = ""
                    return
                if event["type"] != "BOOKMARK":
                    self._take([(event["type"], event["object"])])
                self._version = event["object"]["metadata"]["resourceVersion"]
        finally:
            self._answer.release_conn()

    def _take(self, news: list[tuple[str, Object]]) -> None:
        with self._changed:
            for kind, obj in news:
                self._events.append((kind, obj))
                if kind == "DELETED":
                    self._current.pop(_key(obj), None)
                else:
                    self._current[_key(obj)] = obj
            self._changed.notify_all()
        if self._on_event:
            for kind, obj in news:
                self._on_event(kind, obj)


def _key(obj: Object) -> tuple[str, str]:
    return obj["metadata"].get("namespace", ""), obj["metadata"]["name"]
