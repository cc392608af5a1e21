"""Runs asynchronous tests in virtual time: hours pass in milliseconds, and always in the same way.

Owns the event loop of such a test. Only for code without real input or output: a socket does not know that time jumped.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import looptime

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, limit_s: float = 100_000) -> T:
    """Run `main` on a loop whose clock starts at 0 and jumps to the next timer; fail if it runs beyond `limit_s`."""
    loop = looptime.new_event_loop(start=0, end=limit_s, idle_timeout=None)
    try:
        return loop.run_until_complete(main)
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
