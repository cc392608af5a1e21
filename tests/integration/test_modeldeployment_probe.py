"""Probing a real Triton: ready exactly if it serves the model that was asked for."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import tritonclient.http

from assay.triton.probe import AddressPolicy, Result, Target, probe
from triton import TritonProcess, start_triton, tiny_repository

HERE = AddressPolicy(allow_loopback=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonProcess]:
    """A Triton that serves `tiny`, version 1."""
    with start_triton(tiny_repository(tmp_path_factory.mktemp("repository")), model="tiny") as running:
        yield running


def url(server: TritonProcess, scheme: str) -> str:
    return f"{scheme}://{server.grpc_url if scheme == 'grpc' else server.http_url}"


def ask(wanted: Target) -> Result:
    return asyncio.run(probe(wanted, HERE, 3.0))


@pytest.mark.parametrize("scheme", ["grpc", "http"])
@pytest.mark.parametrize(
    ("model", "version", "outcome"),
    [
        pytest.param("tiny", "1", "Ready", id="the model that is served"),
        pytest.param("other", "1", "ModelUnavailable", id="a model that is not there"),
        pytest.param("tiny", "2", "ModelUnavailable", id="a version that is not there"),
    ],
)
def test_the_model_that_was_asked_for_decides(
    server: TritonProcess, scheme: str, model: str, version: str, outcome: str
) -> None:
    assert ask(Target(url(server, scheme), model, version)).outcome == outcome


@pytest.mark.parametrize("scheme", ["grpc", "http"])
def test_a_model_unloaded_at_run_time_is_unavailable_and_ready_again_when_it_is_back(
    server: TritonProcess, scheme: str
) -> None:
    wanted = Target(url(server, scheme), "tiny", "1")
    with tritonclient.http.InferenceServerClient(server.http_url) as admin:
        admin.unload_model("tiny")
        try:
            assert ask(wanted).outcome == "ModelUnavailable"
        finally:
            admin.load_model("tiny")
    assert ask(wanted).outcome == "Ready"


def test_a_server_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    with start_triton(tiny_repository(tmp_path), model="tiny") as running:
        wanted = Target(url(running, "grpc"), "tiny", "1")
        assert ask(wanted).outcome == "Ready"
    assert ask(wanted).outcome == "Unreachable"
