"""Health tells of progress: over real HTTP, on a port that the system chose."""

import asyncio
import time

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

import virtual_time
from assay.telemetry.health import Check, LoopLag, at_most, health_app, metrics_app, serving


async def fetch(port: int, path: str, accept: str = "") -> tuple[int, str, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept}) as answer,
    ):
        return answer.status, answer.headers["Content-Type"], await answer.text()


@pytest.mark.asyncio
async def test_health_is_ok_while_nothing_complains_and_names_what_does() -> None:
    silence_s = 5.0
    live = [
        at_most("watches", lambda: silence_s, 150, "restart"),
        Check("leader", lambda: None),
    ]
    async with serving(health_app(live, ready=[Check("cache", lambda: "not synced yet")]), 0, "127.0.0.1") as port:
        assert await fetch(port, "/healthz") == (200, "text/plain; charset=utf-8", "ok")
        status, _, body = await fetch(port, "/readyz")
        assert (status, body) == (503, '{"complaints": {"cache": "not synced yet"}}')
        silence_s = 151
        status, _, body = await fetch(port, "/healthz")
        assert status == 503
        assert "watches" in body
        assert "151 s, at most 150 s expected; restart" in body
        assert "leader" not in body
        silence_s = 3
        assert (await fetch(port, "/healthz"))[0] == 200


@pytest.mark.asyncio
async def test_metrics_come_in_the_format_asked_for() -> None:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    async with serving(metrics_app(registry), 0, "127.0.0.1") as port:
        status, kind, body = await fetch(port, "/metrics")
        assert status == 200
        assert kind.startswith("text/plain")
        assert "things_total 1.0" in body
        _, kind, body = await fetch(port, "/metrics", "application/openmetrics-text; version=1.0.0")
        assert kind.startswith("application/openmetrics-text")
        assert body.endswith("# EOF\n")


def test_the_lag_of_a_free_loop_is_zero() -> None:
    async def main() -> None:
        lag = LoopLag()
        assert lag.lag_s() == 0
        task = asyncio.create_task(lag.run())
        await asyncio.sleep(10)
        assert lag.lag_s() == pytest.approx(0, abs=1e-3)
        task.cancel()

    virtual_time.run(main())


@pytest.mark.asyncio
async def test_a_call_that_blocks_the_loop_shows_as_lag() -> None:
    measured: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    lag = LoopLag(lambda lag_s: None if measured.done() else measured.set_result(lag_s))
    task = asyncio.create_task(lag.run())
    await asyncio.sleep(0)
    blocked_until = time.monotonic() + 1.0
    while time.monotonic() < blocked_until:  # what a long computation does
        pass
    assert lag.lag_s() > 0.3, "it shows before the loop is free again"
    assert await asyncio.wait_for(measured, 5) > 0.3
    task.cancel()
