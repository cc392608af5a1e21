"""How long to wait after failures.

Owns the arithmetic of exponential backoff with jitter, for one thing (`Backoff`) and for many keys
(`KeyedBackoff`). It never sleeps and knows no clock. Invariants: a delay never exceeds the cap, and a key that
succeeded leaves no trace behind.
"""

import random
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

# 2**40 x 50 ms is 1,700 years: beyond any cap, and still far from overflowing a float.
_MAX_EXPONENT = 40

Jitter = Callable[[], float]
"""Returns a number in [0, 1); `random.random` by default, fixed in tests."""


def delay_s(failures: int, base_s: float, cap_s: float, jitter: float) -> float:
    """The wait after `failures` >= 1 failures in a row, between half and all of min(cap_s, base_s * 2**(failures-1)).

    `jitter` in [0, 1) picks the point in that range, so that many waiters spread out.
    """
    exponent = min(max(failures - 1, 0), _MAX_EXPONENT)
    return float(min(cap_s, base_s * 2**exponent)) * (0.5 + 0.5 * jitter)


class Backoff:
    """Backoff of one thing: `next_s()` after each failure, `reset()` after a success."""

    def __init__(self, base_s: float, cap_s: float, jitter: Jitter = random.random) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._jitter = jitter
        self.failures = 0

    def next_s(self) -> float:
        """Count a failure and return how long to wait for it, in seconds."""
        self.failures += 1
        return delay_s(self.failures, self._base_s, self._cap_s, self._jitter())

    def reset(self) -> None:
        """Forget all failures."""
        self.failures = 0


class KeyedBackoff(Generic[K]):
    """Backoff per key; only keys with failures take memory."""

    def __init__(self, base_s: float = 0.05, cap_s: float = 300.0, jitter: Jitter = random.random) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._jitter = jitter
        self._failures: dict[K, int] = {}

    def failed(self, key: K) -> float:
        """Count a failure of `key` and return how long to wait for it, in seconds."""
        failures = self._failures.get(key, 0) + 1
        self._failures[key] = failures
        return delay_s(failures, self._base_s, self._cap_s, self._jitter())

    def succeeded(self, key: K) -> None:
        """Forget the failures of `key`."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How many times `key` failed in a row."""
        return self._failures.get(key, 0)
