"""Hostile endpoints cost their own miner only: each in time, in bytes, and all of them at once beside honest ones."""

import asyncio
import time
import tracemalloc
from collections.abc import Coroutine, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.http.aio as tritonclient

from assay.triton import Connection, InferenceFailure, open_client
from assignments import assignment_object
from hostile_endpoints import ENDPOINTS, hostile
from scorer_process import run_scorer
from triton import TritonProcess, start_triton, tiny_repository

ANSWER_BYTES_MAX = 64 * 1024
TIMEOUT_S = 1.0
LATE_S = 0.5
GROWTH_MIB_MAX = 16
SAMPLES = 16
TEXT = np.array([b"Rare cool divide steal."], np.object_)
REJECTED = sorted(name for name, endpoint in ENDPOINTS.items() if endpoint.reasons)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    with start_triton(tiny_repository(tmp_path_factory.mktemp("honest")), model="tiny") as triton:
        yield triton


@pytest.mark.parametrize("name", REJECTED)
def test_a_request_to_a_hostile_endpoint_ends_in_time_with_a_reason(name: str) -> None:
    async def ask(url: str) -> tuple[str, float]:
        async with open_client(Connection(url, "tiny", "1", TIMEOUT_S, ANSWER_BYTES_MAX)) as client:
            begun = time.perf_counter()
            with pytest.raises(InferenceFailure) as failed:
                await client.infer({"text": TEXT})
            assert "\n" not in str(failed.value)
            return failed.value.reason, time.perf_counter() - begun

    with hostile(name) as url:
        reason, took_s = asyncio.run(ask(url))
    assert reason in ENDPOINTS[name].reasons
    assert took_s < TIMEOUT_S + LATE_S


def test_all_hostile_endpoints_at_once_change_no_honest_score(honest: TritonProcess, tmp_path: Path) -> None:
    url = f"grpc://{honest.grpc_url}"
    miners = [url, f"http://{honest.http_url}", url, f"http://{honest.http_url}"]
    names = sorted(ENDPOINTS)
    with ExitStack() as stack:
        enemies = [stack.enter_context(hostile(name)) for name in names]
        alone = run_scorer(tmp_path / "alone", given(miners, url))
        beside = run_scorer(tmp_path / "beside", given([*miners, *enemies], url))
    assert (alone.status, beside.status) == (0, 0), beside.text
    assert all(row["weight"] == 65535 for row in alone.rows)
    assert beside.rows[: len(miners)] == alone.rows
    for name, row in zip(names, beside.rows[len(miners) :], strict=True):
        assert (row["weight"], row["failures"]) == (0, SAMPLES), name
    assert beside.peak_mib < alone.peak_mib + GROWTH_MIB_MAX
    assert {line["message"] for line in beside.log} == {"exam is ready", "miner is scored"}


def given(miners: list[str], reference: str) -> dict[str, Any]:
    challenge = {"timeoutMs": int(TIMEOUT_S * 1000)}
    return assignment_object(miners=miners, reference=reference, samples=SAMPLES, seconds=60, challenge=challenge)


def test_tritonclient_over_http_inflates_a_bomb_that_ours_refuses() -> None:
    """Why `assay.triton.http_client` exists (docs/adr/0030): once this fails, tritonclient can take its place."""

    async def with_tritonclient(url: str) -> None:
        request = tritonclient.InferInput("text", [1], "BYTES")
        request.set_data_from_numpy(TEXT)
        async with tritonclient.InferenceServerClient(url.removeprefix("http://")) as client:
            await client.infer("tiny", [request], "1")

    async def with_ours(url: str) -> None:
        async with open_client(Connection(url, "tiny", "1", 20.0, ANSWER_BYTES_MAX)) as client:
            await client.infer({"text": TEXT})

    with hostile("a gzip bomb") as url:
        assert peak_mib(with_tritonclient(url)) > 64
        assert peak_mib(with_ours(url)) < 1


def peak_mib(asking: Coroutine[Any, Any, None]) -> float:
    """The most memory that Python held while it asked in vain."""
    tracemalloc.start()
    try:
        with pytest.raises((InferenceFailure, ValueError)):
            asyncio.run(asking)
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()
