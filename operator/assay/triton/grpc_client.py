"""KServe v2 over gRPC, by tritonclient.

Owns the channel's bounds and the reading of gRPC's errors. Answers are decoded here and not by tritonclient's
`InferResult`: that one ignores typed contents other than BYTES and lets numpy's and struct's errors through.
"""

# tritonclient has no annotations.
# mypy: disable-error-code="no-untyped-call"

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import grpc  # type: ignore[import-untyped]
import tritonclient.grpc.aio as triton

from assay.triton import tensors
from assay.triton.address import Address, InvalidAddress, resolve
from assay.triton.connection import Connection, Metadata
from assay.triton.failures import InferenceFailure, Reason, quote
from assay.triton.tensors import InvalidTensor, Tensor, TensorSpec

T = TypeVar("T")

METADATA_BYTES_MAX = 16 * 1024
_IDENTITY_ONLY = 1

_REASONS = {
    "StatusCode.DEADLINE_EXCEEDED": Reason.TIMEOUT,
    "StatusCode.UNAVAILABLE": Reason.UNREACHABLE,
    "StatusCode.NOT_FOUND": Reason.MODEL_UNAVAILABLE,
    "StatusCode.RESOURCE_EXHAUSTED": Reason.TOO_LARGE,
}
# Typed contents of a tensor, for servers that do not answer in raw bytes.
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class _OutputTensor(Protocol):
    """What is read of the protobuf message `ModelInferResponse.InferOutputTensor`."""

    name: str
    datatype: str
    shape: Sequence[int]
    contents: object


class _InferResponse(Protocol):
    """What is read of the protobuf message `ModelInferResponse`."""

    outputs: Sequence[_OutputTensor]
    raw_output_contents: Sequence[bytes]


class GrpcClient:
    """A `Client` over one HTTP/2 connection, which gRPC opens again as needed."""

    def __init__(self, connection: Connection, address: Address) -> None:
        _keep_grpc_running()
        if connection.token is not None and not address.is_tls:
            raise InvalidAddress(f"url {connection.url!r}: a token is sent over TLS only; use grpcs://")
        self._connection = connection
        self._address = address
        self._channel: triton.InferenceServerClient | None = None
        self._headers = {"authorization": f"Bearer {connection.token}"} if connection.token else None
        self._opening = asyncio.Lock()

    async def metadata(self) -> Metadata:
        """See `Client`."""

        async def ask(channel: triton.InferenceServerClient, timeout_s: float) -> Metadata:
            answer = await channel.get_model_metadata(
                self._connection.model, self._connection.version, headers=self._headers, client_timeout=timeout_s
            )
            return Metadata(_specs(answer.inputs), _specs(answer.outputs))

        return await self._call(ask)

    async def model_ready(self) -> bool:
        """See `Client`."""

        async def ask(channel: triton.InferenceServerClient, timeout_s: float) -> bool:
            return bool(
                await channel.is_model_ready(
                    self._connection.model, self._connection.version, headers=self._headers, client_timeout=timeout_s
                )
            )

        return await self._call(ask)

    async def infer(self, inputs: Mapping[str, Tensor], timeout_s: float | None = None) -> Mapping[str, Tensor]:
        """See `Client`."""
        request = [_infer_input(name, tensor) for name, tensor in inputs.items()]

        async def ask(channel: triton.InferenceServerClient, timeout_s: float) -> Mapping[str, Tensor]:
            result = await channel.infer(
                self._connection.model,
                request,
                self._connection.version,
                headers=self._headers,
                client_timeout=timeout_s,
            )
            response = result.get_response()
            if response is None:
                raise InferenceFailure(Reason.PROTOCOL_ERROR, "the call succeeded without an answer")
            return _decode(response)

        return await self._call(ask, timeout_s)

    async def close(self) -> None:
        """Close the connection; what is under way is cancelled."""
        if self._channel is not None:
            await self._channel.close()

    async def _call(
        self, ask: Callable[[triton.InferenceServerClient, float], Awaitable[T]], timeout_s: float | None = None
    ) -> T:
        timeout_s = self._connection.timeout_s if timeout_s is None else timeout_s
        try:
            # gRPC's own deadline can come late; this one also covers the name's resolution.
            async with asyncio.timeout(timeout_s):
                return await ask(await self._open(), timeout_s)
        except TimeoutError:
            raise InferenceFailure(Reason.TIMEOUT, f"no answer within {timeout_s:g} s") from None
        except triton.InferenceServerException as error:
            reason = _REASONS.get(str(error.status()), Reason.PROTOCOL_ERROR)
            raise InferenceFailure(reason, f"{error.status()}: {quote(error.message())}") from error
        except InvalidTensor as error:
            reason = Reason.WRONG_SHAPE if error.is_shape else Reason.WRONG_TYPE
            raise InferenceFailure(reason, quote(error)) from error

    async def _open(self) -> triton.InferenceServerClient:
        async with self._opening:
            if self._channel is None:
                ip = await resolve(self._address)
                host = f"[{ip}]" if ip.version == 6 else str(ip)
                target = f"ipv{ip.version}:{host}:{self._address.port}"
                self._channel = triton.InferenceServerClient(
                    target, creds=self._credentials(), channel_args=self._channel_arguments()
                )
            return self._channel

    def _credentials(self) -> grpc.ChannelCredentials | None:
        if not self._address.is_tls:
            return None
        ca_pem = self._connection.ca_pem
        return grpc.ssl_channel_credentials(ca_pem.encode() if ca_pem else None)

    def _channel_arguments(self) -> Sequence[tuple[str, Any]]:
        arguments: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", self._connection.response_bytes_max),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.absolute_max_metadata_size", METADATA_BYTES_MAX),
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
            ("grpc.default_authority", self._address.authority),
            # The server may have as much on its way as one whole answer. Left to itself, gRPC opens the window for
            # whoever sends fast, and holds megabytes of a message that it has refused already.
            ("grpc.http2.bdp_probe", 0),
            ("grpc.http2.lookahead_bytes", self._connection.response_bytes_max),
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.service_config_disable_resolution", 1),
            # One server's troubles must not reach another's connection to the same address.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # In spite of its name this is how long one attempt to connect may take.
            ("grpc.min_reconnect_backoff_ms", max(1, int(self._connection.timeout_s * 1000))),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self._address.is_tls:
            arguments.append(("grpc.ssl_target_name_override", self._address.host))
        return arguments


@functools.cache
def _keep_grpc_running() -> None:
    """Hold gRPC's machinery for as long as the process lives.

    Otherwise the last channel to go ends it, and waits, on the event loop's thread, for a connection whose server
    reads nothing: for ever. A test with a flood of HTTP/2 settings keeps watch over this.
    """
    grpc.aio.init_grpc_aio()


def _specs(described: Sequence[Any]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(each.name, each.datatype, tuple(each.shape)) for each in described)


def _infer_input(name: str, tensor: Tensor) -> triton.InferInput:
    request = triton.InferInput(name, list(tensor.shape), tensors.datatype_of(tensor))
    request.set_data_from_numpy(tensor)
    return request


def _decode(response: _InferResponse) -> Mapping[str, Tensor]:
    raw = response.raw_output_contents
    if raw and len(raw) != len(response.outputs):
        raise InferenceFailure(
            Reason.PROTOCOL_ERROR, f"{len(response.outputs)} outputs, but {len(raw)} pieces of raw data"
        )
    answer: dict[str, Tensor] = {}
    for index, output in enumerate(response.outputs):
        if output.name in answer:
            raise InferenceFailure(Reason.PROTOCOL_ERROR, f"output {quote(output.name)} came twice")
        shape = tuple(output.shape)
        answer[output.name] = (
            tensors.decode(output.datatype, shape, raw[index])
            if raw
            else tensors.from_values(output.datatype, shape, _typed_contents(output))
        )
    return answer


def _typed_contents(output: _OutputTensor) -> Sequence[Any]:
    field = _CONTENTS.get(output.datatype)
    if field is None:
        raise InvalidTensor(f"data type {quote(output.datatype)} has no typed contents", is_shape=False)
    return list(getattr(output.contents, field))
