import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import looptime
import pytest

from assay.scoring.lanes import Lanes, Standing
from assay.triton import Reason

SILENT = Reason.TIMEOUT


def in_virtual_time(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(main(), 1000))
    finally:
        loop.close()


def proven(samples: int = 32) -> Standing:
    standing = Standing(samples)
    standing.learn(None)
    return standing


@pytest.mark.parametrize(
    ("history", "suspect", "given_up"),
    [
        pytest.param([], True, False, id="who never answered is a suspect"),
        pytest.param([None], False, False, id="who answered is none"),
        pytest.param([None, SILENT], True, False, id="who fell silent is one again"),
        pytest.param([SILENT, None], False, False, id="who came back is none"),
        pytest.param([SILENT] * 2, True, False, id="two silences are forgiven"),
        pytest.param([SILENT] * 3, True, True, id="three in a row are not"),
        pytest.param([SILENT, None] * 7, False, False, id="seven of 32 now and then are forgiven"),
        pytest.param([SILENT, None] * 8, False, True, id="a quarter of all samples is not"),
        pytest.param([Reason.UNREACHABLE] * 3, True, True, id="an address without server is silence"),
        pytest.param([Reason.MODEL_UNAVAILABLE] * 3, True, True, id="a server without model is silence"),
        pytest.param([Reason.PROTOCOL_ERROR] * 9, False, False, id="a wrong answer is an answer"),
        pytest.param([Reason.TOO_LARGE] * 9, False, False, id="so is a huge one"),
    ],
)
def test_standing_follows_from_history(history: list[Reason | None], suspect: bool, given_up: bool) -> None:
    standing = Standing(32)
    for outcome in history:
        standing.learn(outcome)
    assert (standing.suspect, standing.given_up) == (suspect, given_up)


def test_pauses_grow_with_silence_and_end_with_an_answer() -> None:
    standing = Standing(1000)
    pauses = []
    for outcome in [SILENT] * 6 + [None]:
        pauses.append(standing.pause_s)
        standing.learn(outcome)
    assert pauses == [0.0, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert standing.pause_s == 0.0


@pytest.mark.parametrize(("total", "for_suspects"), [(1, 1), (2, 1), (3, 1), (32, 16)])
def test_suspects_get_half_of_the_slots_and_the_proven_all(total: int, for_suspects: int) -> None:
    async def most_at_once(new: Callable[[], Standing]) -> int:
        lanes, inside, most = Lanes(total), 0, 0

        async def ask(standing: Standing) -> None:
            nonlocal inside, most
            async with lanes.slot(standing):
                inside, most = inside + 1, max(most, inside + 1)
                await asyncio.sleep(1)
                inside -= 1

        await asyncio.gather(*(ask(new()) for _ in range(3 * total)))
        return most

    async def main() -> None:
        assert await most_at_once(proven) == total
        assert await most_at_once(lambda: Standing(32)) == for_suspects

    in_virtual_time(main)


def test_a_suspect_is_asked_one_thing_at_a_time() -> None:
    async def main() -> None:
        lanes, standing = Lanes(32), Standing(32)
        async with lanes.slot(standing):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5), lanes.slot(standing):
                    pass

    in_virtual_time(main)


def test_a_crowd_of_silent_suspects_does_not_stop_who_answers() -> None:
    async def main() -> None:
        lanes, loop = Lanes(8), asyncio.get_running_loop()

        async def hang() -> None:
            async with lanes.slot(Standing(32)):
                await asyncio.sleep(500)

        crowd = [asyncio.create_task(hang()) for _ in range(100)]
        await asyncio.sleep(1)
        begun = loop.time()
        for _ in range(32):
            async with lanes.slot(proven()):
                await asyncio.sleep(0.01)
        assert loop.time() - begun == pytest.approx(0.32)
        for each in crowd:
            each.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)

    in_virtual_time(main)


def test_a_cancelled_request_gives_its_slot_back() -> None:
    async def main() -> None:
        lanes = Lanes(1)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(lanes.slot(proven()))
            waiting = asyncio.create_task(hold(lanes))
            await asyncio.sleep(1)
            waiting.cancel()
        async with asyncio.timeout(1), lanes.slot(Standing(1)):
            pass

    in_virtual_time(main)


async def hold(lanes: Lanes) -> None:
    async with lanes.slot(proven()):
        await asyncio.sleep(100)
