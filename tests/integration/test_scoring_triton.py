"""The scorer against real Triton servers: what honest, cheating, slow and absent miners get, and when."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from assay.api import Assignment, digest_of
from assay.scoring.runner import Failed, Scored, carry_out
from assay.triton import Connection, InferenceFailure, Reason, open_client
from assignments import assignment, assignment_object
from hostile_endpoints import hostile
from scorer_process import run_scorer
from triton import TritonProcess, start_triton, tiny_repository

TEXT = {"text": np.array([b"hello"], np.object_)}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    with start_triton(tiny_repository(tmp_path_factory.mktemp("honest")), model="tiny") as triton:
        yield triton


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    with start_triton(tiny_repository(tmp_path_factory.mktemp("stranger"), salt="another"), model="tiny") as triton:
        yield triton


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    repository = tiny_repository(tmp_path_factory.mktemp("slow"))
    with start_triton(repository, model="tiny", env={"DEMO_DELAY_MS": "200"}) as triton:
        yield triton


def over_grpc(triton: TritonProcess) -> str:
    return f"grpc://{triton.grpc_url}"


def over_http(triton: TritonProcess) -> str:
    return f"http://{triton.http_url}"


@pytest.fixture(params=[over_grpc, over_http], ids=["gRPC", "HTTP"])
def url(request: pytest.FixtureRequest, honest: TritonProcess) -> str:
    return str(request.param(honest))


def test_a_server_tells_its_model_and_answers(url: str) -> None:
    async def ask() -> None:
        async with open_client(Connection(url, "tiny", "1", 5.0, 65536)) as client:
            metadata = await client.metadata()
            assert [(spec.name, spec.datatype, spec.shape) for spec in metadata.inputs] == [("text", "BYTES", (-1,))]
            assert [(spec.name, spec.datatype, spec.shape) for spec in metadata.outputs] == [
                ("embedding", "FP32", (-1, 8))
            ]
            assert await client.model_ready()
            answer = (await client.infer(TEXT))["embedding"]
            assert (answer.shape, answer.dtype) == ((1, 8), np.float32)
            assert np.linalg.norm(answer) == pytest.approx(1.0)

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("model", "version", "inputs", "bytes_max", "reason"),
    [
        pytest.param("none", "1", TEXT, 65536, Reason.MODEL_UNAVAILABLE, id="another model"),
        pytest.param("tiny", "7", TEXT, 65536, Reason.MODEL_UNAVAILABLE, id="another version"),
        pytest.param("../tiny", "1", TEXT, 65536, Reason.MODEL_UNAVAILABLE, id="a model name that is a path"),
        pytest.param("tiny", "1", {"x": TEXT["text"]}, 65536, Reason.PROTOCOL_ERROR, id="another input"),
        pytest.param("tiny", "1", {"text": np.ones(1, np.float32)}, 65536, Reason.PROTOCOL_ERROR, id="another type"),
        pytest.param(
            "tiny", "1", {"text": np.array([b"x"] * 9999, np.object_)}, 65536, Reason.TOO_LARGE, id="too much"
        ),
    ],
)
def test_what_a_server_refuses_has_a_reason(
    url: str, model: str, version: str, inputs: dict[str, Any], bytes_max: int, reason: Reason
) -> None:
    async def ask() -> None:
        async with open_client(Connection(url, model, version, 5.0, bytes_max)) as client:
            with pytest.raises(InferenceFailure) as failed:
                await client.infer(inputs)
            assert failed.value.reason is reason
            assert await client.model_ready() is (model == "tiny" and version == "1")

    asyncio.run(ask())


def test_each_miner_gets_what_it_deserves(
    honest: TritonProcess, stranger: TritonProcess, slow: TritonProcess, tmp_path: Path
) -> None:
    miners = [over_grpc(honest), over_http(honest), over_grpc(stranger), over_grpc(slow), "grpc://127.0.0.1:1", None]
    scoring = {"latencyTargetMs": 150}
    run = run_scorer(tmp_path, assignment_object(miners=miners, reference=over_grpc(honest), scoring=scoring))
    assert run.status == 0
    rows = {row["uid"]: row for row in run.report["spec"]["scores"]}
    for uid in (0, 1):
        assert (rows[uid]["qualityPpm"], rows[uid]["failures"], rows[uid]["weight"]) == (1_000_000, 0, 65535)
    assert (rows[2]["qualityPpm"], rows[2]["failures"], rows[2]["weight"]) == (0, 0, 0)
    assert (rows[3]["qualityPpm"], rows[3]["failures"]) == (1_000_000, 0)
    assert rows[3]["latencyP50Us"] > 200_000
    assert 65535 * 0.8 < rows[3]["weight"] < 65535 * (0.8 + 0.2 * 150 / 200) + 1
    for uid in (4, 5):
        assert (rows[uid]["failures"], rows[uid]["samples"], rows[uid]["weight"]) == (8, 8, 0)
        assert "latencyP50Us" not in rows[uid]


def test_an_assignment_can_be_replayed(honest: TritonProcess, stranger: TritonProcess, tmp_path: Path) -> None:
    miners = [over_grpc(honest), over_grpc(stranger), over_http(honest)]
    parts = assignment_object(miners=miners, reference=over_http(honest), seconds=-3600)
    data = json.dumps(parts).encode()
    first, second = run_scorer(tmp_path / "first", data), run_scorer(tmp_path / "second", data)
    assert without_times(first.report) == without_times(second.report)
    assert first.report["spec"]["assignmentDigest"] == digest_of(data)
    assert [row["weight"] for row in first.rows] == [65535, 0, 65535]


def without_times(report: dict[str, Any]) -> bytes:
    spec = {key: value for key, value in report["spec"].items() if key not in {"startedAt", "finishedAt"}}
    spec["scores"] = [{k: v for k, v in row.items() if not k.startswith("latency")} for row in spec["scores"]]
    return json.dumps({**report, "spec": spec}).encode()


def dataset(folder: Path, *outputs: list[float] | None) -> dict[str, Any]:
    path = folder / "inputs.jsonl"
    lines = []
    for number, expected in enumerate(outputs):
        line: dict[str, Any] = {
            "inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [f"text {number}"]}]
        }
        if expected is not None:
            line["outputs"] = [{"name": "embedding", "shape": [1, 8], "datatype": "FP32", "data": expected}]
        lines.append(json.dumps(line))
    path.write_text("\n".join(lines))
    return {"random": None, "dataset": {"path": str(path)}}


def test_expected_outputs_need_no_reference(honest: TritonProcess, stranger: TritonProcess, tmp_path: Path) -> None:
    answers = asyncio.run(answers_of(honest, [f"text {number}" for number in range(3)]))
    given = assignment(miners=[over_grpc(honest), over_grpc(stranger)], challenge=dataset(tmp_path, *answers))
    assert weights(asyncio.run(carry_out(given, 30.0))) == {0: 65535, 1: 0}


def test_lines_without_expected_outputs_go_to_the_reference(honest: TritonProcess, tmp_path: Path) -> None:
    (answer,) = asyncio.run(answers_of(honest, ["text 0"]))
    challenge = dataset(tmp_path, answer, None, None)
    given = assignment(miners=[over_grpc(honest)], reference=over_http(honest), challenge=challenge)
    result = asyncio.run(carry_out(given, 30.0))
    assert isinstance(result, Scored)
    assert (result.scores[0].weight_u16, result.scores[0].samples) == (65535, 3)


def test_a_dataset_without_answers_and_without_reference_is_said(tmp_path: Path) -> None:
    result = asyncio.run(carry_out(assignment(miners=[None], challenge=dataset(tmp_path, None)), 30.0))
    assert isinstance(result, Failed)
    assert result.reason == "ChallengeInvalid"
    assert "no expected outputs in every line" in result.message


async def answers_of(triton: TritonProcess, texts: list[str]) -> list[list[float]]:
    async with open_client(Connection(over_grpc(triton), "tiny", "1", 5.0, 65536)) as client:
        answers = [await client.infer({"text": np.array([text.encode()], np.object_)}) for text in texts]
    return [[float(value) for value in answer["embedding"].reshape(-1)] for answer in answers]


def weights(result: Scored | Failed) -> dict[int, int]:
    assert isinstance(result, Scored), result
    return {uid: row.weight_u16 for uid, row in result.scores.items()}


@pytest.mark.parametrize(
    ("reference", "parts", "reason", "message"),
    [
        pytest.param(
            "grpc://127.0.0.1:1", {}, "ReferenceUnavailable", "did not answer (Unreachable", id="nobody there"
        ),
        pytest.param("grpc://no-such.invalid", {}, "ReferenceUnavailable", "has no address", id="no such name"),
        pytest.param("gopher://x", {}, "ReferenceUnavailable", "address cannot be used", id="no such protocol"),
        pytest.param(None, {}, "ChallengeInvalid", "there is no reference", id="no reference"),
        pytest.param("HONEST", {"model": "none"}, "ReferenceUnavailable", "ModelUnavailable", id="without the model"),
        pytest.param(
            "HONEST",
            {"challenge": {"dataset": {"path": "/absent"}}},
            "ChallengeInvalid",
            "cannot be read",
            id="no dataset",
        ),
        pytest.param(
            "HONEST",
            {"scoring": {"tolerance": "0"}},
            "AssignmentInvalid",
            "tolerance: 0 is not above 0",
            id="no tolerance",
        ),
    ],
)
def test_without_a_reference_there_are_no_scores_but_a_reason_in_time(
    honest: TritonProcess, reference: str | None, parts: dict[str, Any], reason: str, message: str
) -> None:
    async def score() -> tuple[Scored | Failed, float]:
        begun = asyncio.get_running_loop().time()
        url = over_grpc(honest) if reference == "HONEST" else reference
        result = await carry_out(assignment(miners=[over_grpc(honest)], reference=url, **parts), 4.0)
        return result, asyncio.get_running_loop().time() - begun

    result, took_s = asyncio.run(score())
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert message in result.message
    assert took_s < 2.0


def test_a_silent_reference_leaves_time_to_say_so() -> None:
    with hostile("accepts and stays silent, gRPC") as url:
        result = asyncio.run(asyncio.wait_for(carry_out(assignment(miners=[url], reference=url), 6.0), 5.0))
    assert isinstance(result, Failed)
    assert result.reason == "ReferenceUnavailable"


def test_a_deadline_that_passed_is_said() -> None:
    result = asyncio.run(carry_out(assignment(miners=[None]), -1.5))
    assert isinstance(result, Failed)
    assert result.reason == "DeadlinePassed"


def test_a_reference_that_comes_late_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with start_triton(tiny_repository(tmp_path), model="tiny") as triton:

        async def score() -> Scored | Failed:
            refused = asyncio.Event()
            monkeypatch.setattr("assay.scoring.reference.log.warning", lambda *_, **__: refused.set())
            given = assignment(miners=[over_grpc(triton)], reference=over_grpc(triton))
            await repository(triton, "unload")
            scoring = asyncio.create_task(carry_out(given, 30.0))
            await asyncio.wait_for(refused.wait(), 20.0)
            await repository(triton, "load")
            return await scoring

        assert weights(asyncio.run(score())) == {0: 65535}


async def repository(triton: TritonProcess, verb: str) -> None:
    async with aiohttp.ClientSession() as session:
        url = f"http://{triton.http_url}/v2/repository/models/tiny/{verb}"
        async with session.post(url, json={}) as response:
            assert response.status == 200, await response.text()


def test_exams_are_cut_off_in_time_and_count_as_far_as_they_came(honest: TritonProcess, slow: TritonProcess) -> None:
    async def score() -> tuple[Scored | Failed, float]:
        begun = asyncio.get_running_loop().time()
        given = assignment(miners=[over_grpc(slow), over_grpc(honest)], reference=over_grpc(honest), samples=64)
        result = await carry_out(given, 5.0)
        return result, asyncio.get_running_loop().time() - begun

    result, took_s = asyncio.run(score())
    assert took_s < 5.0
    assert weights(result) == {0: 65535, 1: 65535}
    assert isinstance(result, Scored)
    assert 0 < result.scores[0].samples < 64
    assert result.scores[0].failures == 0
    assert result.scores[1].samples == 64


def test_a_crowd_of_silent_miners_does_not_starve_an_honest_one(honest: TritonProcess) -> None:
    challenge = {"concurrencyTotal": 8, "timeoutMs": 1000}
    with ExitStack() as stack:
        crowd = [stack.enter_context(hostile("accepts and stays silent, HTTP"))] * 30
        given = assignment(
            miners=[*crowd, over_grpc(honest)], reference=over_grpc(honest), samples=32, challenge=challenge
        )
        result = asyncio.run(carry_out(given, 14.0))
    assert isinstance(result, Scored)
    assert (result.scores[30].weight_u16, result.scores[30].samples) == (65535, 32)
    assert not any(result.scores[uid].weight_u16 for uid in range(30))


def test_a_defect_met_with_one_miner_is_kept_from_the_others(
    honest: TritonProcess, stranger: TritonProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def order_for(given: Assignment, miner_uid: int, count: int) -> list[int]:
        return list(range(count)) if miner_uid else [count]

    monkeypatch.setattr("assay.scoring.examination.order_for", order_for)
    given = assignment(miners=[over_grpc(honest), over_http(honest), over_grpc(stranger)], reference=over_grpc(honest))
    result = asyncio.run(carry_out(given, 30.0))
    assert weights(result) == {0: 0, 1: 65535, 2: 0}
    assert isinstance(result, Scored)
    assert result.scores[0].failures == 0


def test_no_thread_and_no_socket_stays_behind(honest: TritonProcess) -> None:
    given = assignment(miners=[over_grpc(honest), over_http(honest)], reference=over_grpc(honest))
    asyncio.run(carry_out(given, 30.0))
    sockets, threads = open_files(), threading.active_count()
    for _ in range(3):
        asyncio.run(carry_out(given, 30.0))
    assert open_files() <= sockets + 2
    assert threading.active_count() <= threads


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
