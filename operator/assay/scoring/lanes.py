"""Who may ask when: concurrency that a hostile miner cannot take from an honest one.

Owns the bounds on requests in flight. A miner that has never answered, or whose last request went unanswered, is a
suspect: all suspects together get half of the slots and each of them one at a time, so a crowd of hanging endpoints
cannot stop those that answer. A miner that stays silent is given up. Invariants: never more than `total` requests in
flight; a miner that answers finds at least half of the slots free of suspects.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from assay.triton import Reason

OPEN_MINERS_MAX = 512
SILENCES_IN_A_ROW_MAX = 3
SILENCES_SHARE = 4
PAUSE_S, PAUSE_S_MAX = 0.2, 2.0
_SILENCES = frozenset({Reason.TIMEOUT, Reason.UNREACHABLE, Reason.MODEL_UNAVAILABLE})


class Standing:
    """What one miner's requests have shown of it so far."""

    def __init__(self, samples: int) -> None:
        self._silences_max = max(SILENCES_IN_A_ROW_MAX, samples // SILENCES_SHARE)
        self._silences = self._silences_in_a_row = 0
        self.suspect = True
        self.turn = asyncio.Lock()

    @property
    def given_up(self) -> bool:
        """Whether asking on would only take time from others: 3 silences in a row, or a quarter of the samples."""
        return self._silences_in_a_row >= SILENCES_IN_A_ROW_MAX or self._silences >= self._silences_max

    @property
    def pause_s(self) -> float:
        """How long to leave the miner alone before the next request."""
        return min(PAUSE_S * 2**self._silences_in_a_row, PAUSE_S_MAX) if self._silences_in_a_row else 0.0

    def learn(self, failure: Reason | None) -> None:
        """Take note of how a request ended; None means that it was answered."""
        if failure in _SILENCES:
            self._silences += 1
            self._silences_in_a_row += 1
            self.suspect = True
        else:
            self._silences_in_a_row = 0
            self.suspect = False


class Lanes:
    """The slots of one scorer. Waiting is first come, first served, within each lane.

    `door` bounds how many miners have a connection at all, in use or not.
    """

    def __init__(self, total: int) -> None:
        self.door = asyncio.Semaphore(OPEN_MINERS_MAX)
        self._slots = asyncio.Semaphore(total)
        self._suspects = asyncio.Semaphore(max(1, total // 2))

    @asynccontextmanager
    async def slot(self, standing: Standing) -> AsyncIterator[None]:
        """Hold a slot for one request to the miner with this `standing`."""
        if not standing.suspect:
            async with self._slots:
                yield
            return
        async with standing.turn, self._suspects, self._slots:
            yield
