"""KServe v2 over HTTP, by aiohttp.

Not by tritonclient.http.aio: it reads and inflates answers of any size (docs/adr/0030). Owns the bounds on bytes:
raw ones are counted as they come, and compressed ones, which were never asked for, are refused. Redirects are not
followed, the environment's proxies and .netrc are not read, cookies are not kept.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote as url_quote

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from assay.triton import tensors
from assay.triton.address import Address, InvalidAddress, resolve
from assay.triton.connection import Connection, Metadata
from assay.triton.failures import InferenceFailure, Reason, quote
from assay.triton.tensors import InvalidTensor, Tensor, TensorSpec

T = TypeVar("T")

CHUNK_BYTES = 64 * 1024
ERROR_BYTES_MAX = 4096
HEADER_LENGTH = "Inference-Header-Content-Length"
_UNAVAILABLE = {HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.BAD_GATEWAY}


class HttpClient:
    """A `Client` over a pool of HTTP/1.1 connections to one server."""

    def __init__(self, connection: Connection, address: Address) -> None:
        if connection.token is not None and not address.is_tls:
            raise InvalidAddress(f"url {connection.url!r}: a token is sent over TLS only; use https://")
        self._connection = connection
        version = f"/versions/{url_quote(connection.version, safe='')}" if connection.version else ""
        self._base = f"{address.scheme}://{address.authority}{address.path}/v2"
        self._model = f"{self._base}/models/{url_quote(connection.model, safe='')}{version}"
        self._takes_binary: bool | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                resolver=_CheckedResolver(address), ssl=_trust(connection, address), use_dns_cache=False, limit=0
            ),
            headers={"Authorization": f"Bearer {connection.token}"} if connection.token else None,
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=CHUNK_BYTES,
        )

    async def metadata(self) -> Metadata:
        """See `Client`."""

        async def ask() -> Metadata:
            body, _ = await self._request("GET", self._model, bytes_max=self._connection.response_bytes_max)
            described = _parse(body)
            return Metadata(_specs(described.get("inputs")), _specs(described.get("outputs")))

        return await self._call(ask)

    async def model_ready(self) -> bool:
        """See `Client`."""

        async def ask() -> bool:
            async with self._session.get(f"{self._model}/ready", allow_redirects=False) as response:
                return response.status == HTTPStatus.OK

        return await self._call(ask)

    async def infer(self, inputs: Mapping[str, Tensor], timeout_s: float | None = None) -> Mapping[str, Tensor]:
        """See `Client`."""

        async def ask() -> Mapping[str, Tensor]:
            head, tail = _encode(inputs, binary=await self._binary())
            body, header_bytes = await self._request(
                "POST",
                f"{self._model}/infer",
                data=head + tail,
                headers={HEADER_LENGTH: str(len(head))} if tail else {"Content-Type": "application/json"},
                bytes_max=self._connection.response_bytes_max,
            )
            return _decode(body, header_bytes)

        return await self._call(ask, timeout_s)

    async def close(self) -> None:
        """Close the connections; what is under way is cancelled."""
        await self._session.close()

    async def _binary(self) -> bool:
        """Whether the server takes raw tensors, which it lists among its extensions; asked once."""
        if self._takes_binary is None:
            body, _ = await self._request("GET", self._base, bytes_max=self._connection.response_bytes_max)
            extensions = _parse(body).get("extensions")
            self._takes_binary = isinstance(extensions, list) and "binary_tensor_data" in extensions
        return self._takes_binary

    async def _request(
        self,
        method: str,
        url: str,
        *,
        bytes_max: int,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[bytes, int | None]:
        """The body of a 200 answer, and how much of it is JSON if it goes on with raw data."""
        async with self._session.request(
            method, url, data=data, headers={"Accept-Encoding": "identity", **(headers or {})}, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                body = await _read(response, ERROR_BYTES_MAX)
                reason = Reason.MODEL_UNAVAILABLE if response.status in _UNAVAILABLE else Reason.PROTOCOL_ERROR
                raise InferenceFailure(reason, f"HTTP {response.status}: {quote(body.decode('utf-8', 'replace'))}")
            body = await _read(response, bytes_max)
            header_bytes = response.headers.get(HEADER_LENGTH)
            if header_bytes is None:
                return body, None
            if not (header_bytes.isascii() and header_bytes.isdigit() and len(header_bytes) < 12):
                raise InferenceFailure(Reason.PROTOCOL_ERROR, f"{HEADER_LENGTH}: {quote(header_bytes)} is no length")
            return body, int(header_bytes)

    async def _call(self, ask: Callable[[], Awaitable[T]], timeout_s: float | None = None) -> T:
        timeout_s = self._connection.timeout_s if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                return await ask()
        except TimeoutError:
            raise InferenceFailure(Reason.TIMEOUT, f"no answer within {timeout_s:g} s") from None
        except InvalidTensor as error:
            reason = Reason.WRONG_SHAPE if error.is_shape else Reason.WRONG_TYPE
            raise InferenceFailure(reason, quote(error)) from error
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise InferenceFailure(Reason.UNREACHABLE, quote(error)) from error
        except (aiohttp.ClientError, ValueError) as error:
            raise InferenceFailure(Reason.PROTOCOL_ERROR, quote(error)) from error


class _CheckedResolver(AbstractResolver):
    """Lets aiohttp connect to the checked address only; the host name stays for SNI and the Host header."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        ip = await resolve(self._address)
        version = socket.AF_INET6 if ip.version == 6 else socket.AF_INET
        return [ResolveResult(hostname=host, host=str(ip), port=port, family=version, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing is held."""


def _trust(connection: Connection, address: Address) -> ssl.SSLContext | bool:
    if not address.is_tls or connection.ca_pem is None:
        return True
    try:
        return ssl.create_default_context(cadata=connection.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise InvalidAddress(f"url {connection.url!r}: its CA is no PEM certificate; {error}") from error


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """The body, read piece by piece so that never more than `bytes_max` and one piece are held."""
    encoding = response.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        raise InferenceFailure(Reason.PROTOCOL_ERROR, f"Content-Encoding {quote(encoding)} was not asked for")
    if (response.content_length or 0) > bytes_max:
        raise InferenceFailure(Reason.TOO_LARGE, f"{response.content_length} bytes announced, at most {bytes_max} read")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            # Closed, not released: aiohttp would drain a released connection to use it again.
            response.close()
            raise InferenceFailure(Reason.TOO_LARGE, f"more than {bytes_max} bytes")
    return bytes(body)


def _encode(inputs: Mapping[str, Tensor], *, binary: bool) -> tuple[bytes, bytes]:
    """The JSON part and the raw part of a request; without the binary extension the latter is empty."""
    described: list[dict[str, Any]] = []
    raw: list[bytes] = []
    for name, tensor in inputs.items():
        entry: dict[str, Any] = {
            "name": name,
            "shape": list(tensor.shape),
            "datatype": tensors.datatype_of(tensor),
        }
        if binary:
            raw.append(tensors.encode(tensor))
            entry["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            entry["data"] = [_json_value(value) for value in tensor.reshape(-1).tolist()]
        described.append(entry)
    request: dict[str, Any] = {"inputs": described}
    if binary:
        request["parameters"] = {"binary_data_output": True}
    return json.dumps(request, allow_nan=False).encode(), b"".join(raw)


def _json_value(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _parse(body: bytes | memoryview) -> Mapping[str, Any]:
    try:
        parsed = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise InferenceFailure(Reason.PROTOCOL_ERROR, f"no JSON: {quote(error)}") from error
    if not isinstance(parsed, dict):
        raise InferenceFailure(Reason.PROTOCOL_ERROR, "expected a JSON object")
    return parsed


def _specs(described: object) -> tuple[TensorSpec, ...]:
    if not isinstance(described, list):
        raise InferenceFailure(Reason.PROTOCOL_ERROR, "metadata: expected lists of inputs and outputs")
    specs: list[TensorSpec] = []
    for each in described:
        match each:
            case {"name": str(name), "datatype": str(datatype), "shape": list(shape)} if _is_shape(shape):
                specs.append(TensorSpec(name, datatype, tuple(shape)))
            case _:
                raise InferenceFailure(Reason.PROTOCOL_ERROR, "metadata: expected name, datatype and shape")
    return tuple(specs)


def _is_shape(shape: list[Any]) -> bool:
    return all(type(size) is int for size in shape)


def _decode(body: bytes, header_bytes: int | None) -> Mapping[str, Tensor]:
    view = memoryview(body)
    split = len(body) if header_bytes is None else header_bytes
    if split > len(body):
        raise InferenceFailure(Reason.PROTOCOL_ERROR, f"{HEADER_LENGTH}: {split} of {len(body)} bytes")
    outputs, rest = _parse(view[:split]).get("outputs"), view[split:]
    if not isinstance(outputs, list):
        raise InferenceFailure(Reason.PROTOCOL_ERROR, "expected a list of outputs")
    answer: dict[str, Tensor] = {}
    for output in outputs:
        if not isinstance(output, dict):
            raise InferenceFailure(Reason.PROTOCOL_ERROR, "outputs: expected objects")
        name, tensor, used = _decode_output(output, rest)
        if name in answer:
            raise InferenceFailure(Reason.PROTOCOL_ERROR, f"output {quote(name)} came twice")
        answer[name], rest = tensor, rest[used:]
    if rest:
        raise InferenceFailure(Reason.PROTOCOL_ERROR, f"{len(rest)} bytes belong to no output")
    return answer


def _decode_output(output: Mapping[str, Any], rest: memoryview) -> tuple[str, Tensor, int]:
    """Name and array of one output, and how many raw bytes it took."""
    parameters = output.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return *tensors.tensor_from_json(output), 0
    match output:
        case {"name": str(name), "shape": list(shape), "datatype": str(datatype)} if (
            type(size) is int and 0 <= size <= len(rest) and _is_shape(shape)
        ):
            return name, tensors.decode(datatype, shape, rest[:size]), size
        case _:
            raise InferenceFailure(Reason.PROTOCOL_ERROR, "outputs: name, shape, datatype or binary_data_size is wrong")
