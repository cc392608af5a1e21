"""The whole kopf surface: a login, and one event handler a kind.

Owns the registration. A handler forwards and does no more: whatever it did beyond that would run without retry,
without order against the events of children, and on kopf's own loop. Invariant: no handler raises, waits, returns a
value or touches the patch.
"""

from collections.abc import Awaitable, Callable, Mapping

import kopf

Sink = Callable[[str | None, Mapping[str, object]], None]
"""Takes an event: its type (ADDED, MODIFIED, DELETED, or None for an object that a LIST showed) and the object."""

Login = Callable[..., Awaitable[kopf.AiohttpSession]]


def build(group: str, version: str, sinks: Mapping[str, Sink], login: Login) -> kopf.OperatorRegistry:
    """A registry that watches `group/version` by the plural names in `sinks`, and nothing else."""
    registry = kopf.OperatorRegistry()  # the plain one registers no logins by default
    kopf.on.login(registry=registry, id="login")(login)
    for plural, sink in sinks.items():
        kopf.on.event(group, version, plural, registry=registry, id=f"watch-{plural}")(_forward(sink))
    return registry


def _forward(sink: Sink) -> Callable[..., Awaitable[None]]:
    async def handler(event: kopf.RawEvent, **_: object) -> None:
        sink(event["type"], event["object"])

    return handler
