"""Which servers are asked, how often, and that asking never waits."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from assay.triton import probe as module
from assay.triton.probe import AddressPolicy, Answer, Prober, Result, Target, probe

HERE = AddressPolicy(allow_loopback=True)


def target(url: str = "grpc://127.0.0.1:1", version: str = "1") -> Target:
    return Target(url, "minilm", version)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("grpc://127.0.0.1:8001", id="loopback"),
        pytest.param("http://127.8.8.8:80", id="another loopback"),
        pytest.param("grpcs://[::1]:8001", id="loopback in IPv6"),
        pytest.param("grpc://[::ffff:127.0.0.1]:8001", id="loopback in disguise"),
        pytest.param("grpc://localhost:8001", id="a name for loopback"),
        pytest.param("http://169.254.169.254/latest", id="cloud metadata"),
        pytest.param("http://[fe80::1]:80", id="link-local"),
        pytest.param("grpc://224.0.0.1:8001", id="multicast"),
        pytest.param("grpc://0.0.0.0:8001", id="no address"),
        pytest.param("http://2130706433:80", id="loopback as one number"),
        pytest.param("http://0x7f.1:80", id="loopback in hexadecimal"),
        pytest.param("https://10.96.0.1:443", id="the API server"),
        pytest.param("https://[::ffff:10.96.0.1]:443", id="the API server in disguise"),
    ],
)
def test_a_forbidden_address_is_refused(url: str) -> None:
    policy = AddressPolicy.refusing(["10.96.0.1", "kubernetes.default.svc"])
    assert asyncio.run(probe(target(url), policy, 3.0)).outcome == "Refused"


def test_the_refused_networks_may_be_given_as_addresses_and_as_networks() -> None:
    policy = AddressPolicy.refusing(["10.96.0.0/16", "fd00::1", "no-address"])
    assert policy.objection(ipaddress.ip_address("10.96.7.7"))
    assert policy.objection(ipaddress.ip_address("fd00::1"))
    assert policy.objection(ipaddress.ip_address("10.97.0.1")) is None


def test_a_name_without_an_address_is_unreachable() -> None:
    result = asyncio.run(probe(target("grpc://no-such-host.invalid:8001"), AddressPolicy(), 3.0))
    assert result.outcome == "Unreachable"


@asynccontextmanager
async def server(answer: bytes | None) -> AsyncIterator[str]:
    """A TCP server on loopback: says `answer` and hangs up, or takes the connection and stays silent if None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            if answer is None:
                await reader.read()
            else:
                await reader.read(1)
                writer.write(answer)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}"
    finally:
        listening.close()


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nhello"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
HUGE = b"HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n" + b"x" * 600_000


@pytest.mark.parametrize(
    ("scheme", "answer", "outcomes"),
    [
        pytest.param("grpc", None, {"Unreachable"}, id="silent over gRPC"),
        pytest.param("http", None, {"Unreachable"}, id="silent over HTTP"),
        pytest.param("https", None, {"Unreachable"}, id="silent over TLS"),
        pytest.param("grpc", HTML, {"Unreachable", "ProtocolError"}, id="a web server where gRPC is expected"),
        pytest.param("http", HTML, {"ProtocolError"}, id="a web page"),
        pytest.param("http", NOT_FOUND, {"ModelUnavailable"}, id="a server that knows no such model"),
        pytest.param("http", HUGE, {"ProtocolError"}, id="a huge answer"),
        pytest.param("http", b"", {"Unreachable", "ProtocolError"}, id="a connection closed at once"),
    ],
)
def test_a_server_that_is_not_triton_is_never_ready(scheme: str, answer: bytes | None, outcomes: set[str]) -> None:
    async def ask() -> Result:
        async with server(answer) as address:
            return await probe(target(f"{scheme}://{address}"), HERE, 0.5)

    assert asyncio.run(ask()).outcome in outcomes


def test_messages_do_not_change_from_try_to_try() -> None:
    async def ask() -> set[Result]:
        return {await probe(target("grpc://127.0.0.1:1"), HERE, 1.0) for _ in range(3)}

    assert len(asyncio.run(ask())) == 1


async def settled(prober: Prober, key: str, wanted: Target) -> Answer:
    """The answer once no question is under way."""
    prober.latest(key, wanted)
    await asked_about(wanted)
    return prober.latest(key, wanted)


async def asked_about(wanted: Target) -> None:
    """Wait for the questions to this target."""
    under_way = [task for task in asyncio.all_tasks() if task.get_name() == f"probe {wanted.url}"]
    async with asyncio.timeout(5):
        await asyncio.gather(*under_way)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that is put; each is answered at once."""
    log: list[str] = []

    async def answer(wanted: Target, policy: AddressPolicy, timeout_s: float) -> Result:
        log.append(wanted.url)
        return Result("Ready")

    monkeypatch.setattr(module, "probe", answer)
    return log


def test_the_first_look_does_not_wait(asked: list[str]) -> None:
    async def look() -> Answer:
        return Prober().latest("a", target())

    assert asyncio.run(look()) == Answer(None, is_pending=True)


def test_an_answer_is_kept_until_it_is_old(asked: list[str]) -> None:
    async def look() -> None:
        prober = Prober(period_s=1000)
        for _ in range(5):
            assert (await settled(prober, "a", target())).result == Result("Ready")
        assert len(asked) == 1
        eager = Prober(period_s=0)
        for _ in range(3):
            eager.latest("a", target())
            await asyncio.sleep(0.01)

    asyncio.run(look())
    assert len(asked) == 4


def test_an_answer_about_another_target_is_not_told(asked: list[str]) -> None:
    async def look() -> Answer:
        prober = Prober(period_s=1000)
        await settled(prober, "a", target())
        return prober.latest("a", target(version="2"))

    assert asyncio.run(look()) == Answer(None, is_pending=True)


def test_answers_that_nobody_asks_for_are_forgotten(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    async def look() -> Answer:
        prober = Prober(period_s=1000)
        await settled(prober, "a", target())
        monkeypatch.setattr(module, "FORGOTTEN_AFTER_S", -1.0)
        prober.latest("b", target())
        monkeypatch.setattr(module, "FORGOTTEN_AFTER_S", 120.0)
        return prober.latest("a", target())

    assert asyncio.run(look()) == Answer(None, is_pending=True)


def test_a_hundred_silent_servers_do_not_hold_up_one_that_answers() -> None:
    async def look() -> float:
        async with server(None) as silent, server(HTML) as loud:
            loop = asyncio.get_running_loop()
            prober = Prober(HERE, timeout_s=3.0, concurrency=128)
            for number in range(100):
                prober.latest(number, target(f"http://{silent}"))
            started = loop.time()
            wanted = target(f"http://{loud}")
            prober.latest("loud", wanted)
            await asked_about(wanted)
            return loop.time() - started

    assert asyncio.run(look()) < 2.0
