"""Miners behind TLS: a real Triton for gRPC, a small server for HTTP; certificates by openssl."""

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web

from assay.scoring.reference import read_token
from assay.triton import Connection, InferenceFailure, InvalidAddress, Reason, open_client
from triton import TritonProcess, start_triton, tiny_repository

TEXT = {"text": np.array([b"hello"], np.object_)}
SUBJECT = "/CN=localhost"


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate of `localhost`, which is its own authority."""

    path: Path
    key: Path

    @property
    def pem(self) -> str:
        return self.path.read_text()


def certificate(folder: Path, name: str) -> Certificate:
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", SUBJECT]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(made.key), "-out", str(made.path)]
    subprocess.run(argv, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("own"), "own")


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("foreign"), "foreign")


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory, own: Certificate) -> Iterator[TritonProcess]:
    arguments = ["--grpc-use-ssl=true", f"--grpc-server-cert={own.path}", f"--grpc-server-key={own.key}"]
    with start_triton(tiny_repository(tmp_path_factory.mktemp("tls")), model="tiny", arguments=arguments) as process:
        yield process


def port_of(triton: TritonProcess) -> str:
    return triton.grpc_url.rpartition(":")[2]


async def dimensions_from(url: str, ca_pem: str | None, token: str | None = None) -> int:
    async with open_client(Connection(url, "tiny", "1", 5.0, 65536, ca_pem, token)) as client:
        return int((await client.infer(TEXT))["embedding"].shape[1])


def test_grpc_with_the_right_authority(triton: TritonProcess, own: Certificate) -> None:
    assert asyncio.run(dimensions_from(f"grpcs://localhost:{port_of(triton)}", own.pem)) == 8


def test_grpc_with_another_authority(triton: TritonProcess, foreign: Certificate) -> None:
    expect_unreachable(f"grpcs://localhost:{port_of(triton)}", foreign.pem)


def test_grpc_with_the_public_authorities(triton: TritonProcess) -> None:
    expect_unreachable(f"grpcs://localhost:{port_of(triton)}", None)


def test_grpc_under_another_name(triton: TritonProcess, own: Certificate) -> None:
    expect_unreachable(f"grpcs://127.0.0.1:{port_of(triton)}", own.pem)


def test_grpc_without_tls_where_it_is_needed(triton: TritonProcess) -> None:
    expect_unreachable(f"grpc://localhost:{port_of(triton)}", None)


def expect_unreachable(url: str, ca_pem: str | None) -> None:
    with pytest.raises(InferenceFailure) as failed:
        asyncio.run(dimensions_from(url, ca_pem))
    assert failed.value.reason is Reason.UNREACHABLE


@contextlib.asynccontextmanager
async def https_server(own: Certificate) -> AsyncIterator[tuple[int, list[str | None]]]:
    """A KServe v2 server without the binary extension; its port, and the Authorization headers it saw."""
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        if request.method == "GET":
            return web.json_response({"name": "plain", "extensions": []})
        asked = await request.json()
        assert asked["inputs"] == [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["hello"]}]
        output = {"name": "embedding", "shape": [1, 2], "datatype": "FP32", "data": [0.6, 0.8]}
        return web.json_response({"outputs": [output]})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(own.path, own.key)
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield runner.addresses[0][1], seen
    finally:
        await runner.cleanup()


def test_https_with_the_right_authority_and_a_token(own: Certificate) -> None:
    async def ask() -> None:
        async with https_server(own) as (port, seen):
            assert await dimensions_from(f"https://localhost:{port}/prefix", own.pem, "secret") == 2
            assert set(seen) == {"Bearer secret"}

    asyncio.run(ask())


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_https_with_another_authority_or_under_another_name(own: Certificate, foreign: Certificate, host: str) -> None:
    async def ask() -> None:
        async with https_server(own) as (port, seen):
            with pytest.raises(InferenceFailure) as failed:
                await dimensions_from(
                    f"https://{host}:{port}", foreign.pem if host == "localhost" else own.pem, "secret"
                )
            assert failed.value.reason is Reason.UNREACHABLE
            assert not seen

    asyncio.run(ask())


@pytest.mark.parametrize("url", ["grpc://localhost:1", "http://localhost:1"])
def test_a_token_is_never_sent_in_the_clear(url: str) -> None:
    with pytest.raises(InvalidAddress, match="a token is sent over TLS only"):
        asyncio.run(dimensions_from(url, None, "secret"))


@pytest.mark.parametrize("url", ["grpcs://localhost:1", "https://localhost:1"])
def test_an_authority_that_is_no_certificate_is_refused(url: str) -> None:
    with pytest.raises((InvalidAddress, InferenceFailure)):
        asyncio.run(dimensions_from(url, "no certificate"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "holds no bearer token", id="empty"),
        pytest.param(b"a b", "holds no bearer token", id="two words"),
        pytest.param(b"a\r\nX-Forged: b", "holds no bearer token", id="a header within"),
        pytest.param("tökén".encode(), "cannot be read", id="not ASCII"),
    ],
)
def test_a_token_file_must_hold_a_token(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(InvalidAddress, match=message):
        read_token(str(path))


def test_a_token_file_may_end_in_a_line_break(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    assert read_token(str(path)) == "secret"
