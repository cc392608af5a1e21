"""Waiting for conditions in tests that run on real clocks."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


async def until(condition: Callable[[], object], within_s: float = 30.0, what: str = "") -> float:
    """Wait until the condition holds; returns how long it took, in seconds. Fails after `within_s`."""
    started_s = monotonic()
    while not condition():
        assert monotonic() - started_s < within_s, f"not within {within_s:g} s: {what or condition}"
        await asyncio.sleep(0.02)
    return monotonic() - started_s


async def until_async(condition: Callable[[], Awaitable[object]], within_s: float = 30.0, what: str = "") -> float:
    """Wait until an asynchronous condition holds; returns how long it took, in seconds. Fails after `within_s`."""
    started_s = monotonic()
    while not await condition():
        assert monotonic() - started_s < within_s, f"not within {within_s:g} s: {what or condition}"
        await asyncio.sleep(0.05)
    return monotonic() - started_s
