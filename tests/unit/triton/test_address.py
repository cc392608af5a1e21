import asyncio
import ipaddress

import pytest

from assay.triton import InferenceFailure, InvalidAddress, Reason, parse_address
from assay.triton.address import is_refused, resolve


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "path"),
    [
        ("grpc://honest-0.m.svc.cluster.local:8001", "grpc", "honest-0.m.svc.cluster.local", 8001, ""),
        ("grpc://10.0.0.7", "grpc", "10.0.0.7", 8001, ""),
        ("grpcs://miner.example", "grpcs", "miner.example", 443, ""),
        ("http://[2001:db8::1]:8000/", "http", "2001:db8::1", 8000, ""),
        ("https://miner.example/models/a/", "https", "miner.example", 443, "/models/a"),
        ("http://MINER.example", "http", "miner.example", 80, ""),
    ],
)
def test_addresses_that_are_understood(url: str, scheme: str, host: str, port: int, path: str) -> None:
    address = parse_address(url)
    assert (address.scheme, address.host, address.port, address.path) == (scheme, host, port, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "miner.example:8001",
        "ftp://miner.example",
        "GRPC://miner.example",
        "grpc://",
        "grpc://user@miner.example",
        "grpc://user:word@miner.example:8001",
        "grpc://miner.example:0",
        "grpc://miner.example:65536",
        "grpc://miner.example:8001/path",
        "grpc://miner.example:8001\n",
        "grpc://miner.example\\@10.0.0.1:8001",
        "http://miner.example/a?b=c",
        "http://miner.example/a#b",
        "http://miner.example/%2e%2e",
        "http://miner.example/a b",
        "http://mïner.example",
        "http://①②⑦.0.0.1",
        "http://0177.0.0.1",
        "http://2130706433",
        "http://0x7f.1",
        "http://127.1",
        "http://127.0.0.0x1",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]",
        "http://[fd00:ec2::254]",
        "http://168.63.129.16",
        "http://0.0.0.0",
        "http://224.0.0.1",
        "http://[fe80::1]",
        "http://" + "a" * 3000,
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(InvalidAddress, match="url "):
        parse_address(url)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("10.96.0.1", False),
        ("192.168.1.1", False),
        ("8.8.8.8", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("2001:db8::1", False),
        ("169.254.169.254", True),
        ("169.254.0.1", True),
        ("192.0.0.192", True),
        ("100.100.100.200", True),
        ("0.0.0.0", True),  # noqa: S104 - an address to refuse
        ("::", True),
        ("239.1.2.3", True),
        ("ff02::1", True),
        ("fe80::1", True),
        ("::ffff:169.254.169.254", True),
        ("::169.254.169.254", True),
        ("64:ff9b::a9fe:a9fe", True),
        ("2002:a9fe:a9fe::", True),
    ],
)
def test_which_addresses_are_refused_however_they_are_written(address: str, refused: bool) -> None:
    assert is_refused(ipaddress.ip_address(address)) is refused


def test_a_literal_address_needs_no_resolver() -> None:
    assert str(asyncio.run(resolve(parse_address("grpc://10.0.0.7:8001")))) == "10.0.0.7"


def test_a_name_is_resolved_once() -> None:
    assert asyncio.run(resolve(parse_address("grpc://localhost:8001"))).is_loopback


def test_a_name_without_address_is_unreachable() -> None:
    with pytest.raises(InferenceFailure) as failed:
        asyncio.run(resolve(parse_address("grpc://no-such-miner.invalid:8001")))
    assert failed.value.reason is Reason.UNREACHABLE


def test_a_name_with_one_refused_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(2, 1, 6, "", ("10.0.0.7", 0)), (2, 1, 6, "", ("169.254.169.254", 0))]
    monkeypatch.setattr("assay.triton.address.socket.getaddrinfo", lambda *_, **__: rows)
    with pytest.raises(InferenceFailure, match=r"169\.254\.169\.254, which is refused"):
        asyncio.run(resolve(parse_address("grpc://rebound.example:8001")))
