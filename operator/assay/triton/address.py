"""Where a server is, and whether it may be asked there.

Owns the strict reading of URLs and the resolution of host names. Invariant: a connection goes to an address that was
looked at, never to a name that could resolve differently a moment later; link-local, multicast and cloud-metadata
addresses are refused however they are written.
"""

import asyncio
import ipaddress
import re
import socket
import threading
from dataclasses import dataclass
from typing import TypeAlias

from assay.triton.failures import InferenceFailure, Reason

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_CHARACTERS_MAX = 2048
_URL = re.compile(
    r"(?P<scheme>grpcs?|https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>\d{1,5}))?(?P<path>/[!-~]*)?"
)
_DEFAULT_PORTS = {"grpc": 8001, "grpcs": 443, "http": 80, "https": 443}
# Cloud metadata and wire servers, which `ipaddress` calls ordinary addresses.
_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("168.63.129.16", "192.0.0.192", "100.100.100.200", "fd00:ec2::254")
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_COMPATIBLE = ipaddress.ip_network("::/96")


class InvalidAddress(ValueError):
    """A URL that is not understood or not allowed; the message names it and the expectation."""


@dataclass(frozen=True)
class Address:
    """A parsed URL. `path` is the prefix before `/v2`, empty or beginning with a slash, without one at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_grpc(self) -> bool:
        """Whether the server is asked over gRPC, else over HTTP."""
        return self.scheme in {"grpc", "grpcs"}

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted and the server's certificate checked."""
        return self.scheme in {"grpcs", "https"}

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read `grpc(s)://host[:port]` or `http(s)://host[:port][/prefix]`; raises InvalidAddress.

    No user names, queries or fragments; hosts are ASCII names, dotted quads or IPv6 in brackets. What could only be
    a disguised IPv4 address (octal, hexadecimal, short, one integer) is refused.
    """
    matched = _URL.fullmatch(url) if len(url) <= URL_CHARACTERS_MAX else None
    if matched is None:
        raise InvalidAddress(f"url {url[:80]!r}: expected grpc(s)://host[:port] or http(s)://host[:port][/prefix]")
    scheme, host, path = matched["scheme"], matched["host"].strip("[]").lower(), (matched["path"] or "").rstrip("/")
    port = int(matched["port"]) if matched["port"] else _DEFAULT_PORTS[scheme]
    if not 0 < port < 65536:
        raise InvalidAddress(f"url {url[:80]!r}: port {port} is not within 1..65535")
    if path and scheme.startswith("grpc"):
        raise InvalidAddress(f"url {url[:80]!r}: a gRPC address has no path; remove {path[:80]!r}")
    if set(path) & set("?#\\%"):
        raise InvalidAddress(f"url {url[:80]!r}: the path may hold no query, fragment, backslash or percent sign")
    literal = _literal(host)
    if literal is None and re.fullmatch(r"(0x[0-9a-f]*|\d+)", host.rstrip(".").rpartition(".")[2]):
        raise InvalidAddress(f"url {url[:80]!r}: {host!r} is no canonical IP address; write a dotted quad")
    if literal is not None and is_refused(literal):
        raise InvalidAddress(f"url {url[:80]!r}: {host} is a link-local, multicast or metadata address")
    return Address(scheme, host, port, path)


def is_refused(address: IPAddress) -> bool:
    """Whether no server may be asked at `address`, also when it hides inside an IPv6 address."""
    inner = _unwrapped(address)
    return inner in _METADATA or inner.is_link_local or inner.is_multicast or inner.is_unspecified


async def resolve(address: Address) -> IPAddress:
    """The address to connect to; the caller sets the deadline.

    Raises InferenceFailure(Unreachable) if the name has no address or any of its addresses is refused.
    """
    literal = _literal(address.host)
    found = [literal] if literal is not None else await _look_up(address.host)
    refused = next((ip for ip in found if is_refused(ip)), None)
    if refused is not None:
        raise InferenceFailure(Reason.UNREACHABLE, f"host {address.host} resolves to {refused}, which is refused")
    return found[0]


async def _look_up(host: str) -> list[IPAddress]:
    """Ask the system's resolver in a thread of its own.

    The event loop's shared pool has a handful of threads, and names that never resolve would hold all of them; a daemon
    thread also does not keep the process from ending.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[IPAddress]] = loop.create_future()

    def deliver(found: list[IPAddress], error: OSError | None) -> None:
        if answer.done():
            return
        if error is None and found:
            answer.set_result(found)
        else:
            answer.set_exception(InferenceFailure(Reason.UNREACHABLE, f"host {host} has no address ({error})"))

    def ask() -> None:
        found, error = [], None
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            found = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
        except (OSError, UnicodeError) as caught:
            error = OSError(str(caught))
        # The loop may be closed by now: nobody waits for this name any more.
        if not loop.is_closed():
            loop.call_soon_threadsafe(deliver, found, error)

    threading.Thread(target=ask, daemon=True, name=f"resolve-{host}").start()
    return await answer


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _unwrapped(address: IPAddress) -> IPAddress:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is not None:
        return inner
    is_short = address in _NAT64 or (address in _IPV4_COMPATIBLE and int(address) > 1)
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_short else address
