"""One way to ask a server, whatever its protocol.

Owns the public face of the package: `Client`, and `open_client`, which picks the protocol by the URL's scheme. Keeps
the two promises that callers build on: every call ends within its deadline, and fails only with `InferenceFailure`.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from assay.triton.address import Address, parse_address
from assay.triton.connection import Connection, Metadata
from assay.triton.tensors import Tensor

if TYPE_CHECKING:
    from assay.triton.grpc_client import GrpcClient
    from assay.triton.http_client import HttpClient


class Client(Protocol):
    """An open connection. Every method raises InferenceFailure and nothing else (but for cancellation)."""

    async def metadata(self) -> Metadata:
        """The model's inputs and outputs, batch dimension included."""

    async def model_ready(self) -> bool:
        """Whether the server says that it would answer for the model now."""

    async def infer(self, inputs: Mapping[str, Tensor], timeout_s: float | None = None) -> Mapping[str, Tensor]:
        """All outputs for `inputs`, within `timeout_s` (the connection's unless given)."""


@asynccontextmanager
async def open_client(connection: Connection) -> AsyncIterator[Client]:
    """A client for `connection`, closed at the end of the block. Connects at the first call, not here.

    Raises InvalidAddress for a URL or a combination that is not allowed.
    """
    address = parse_address(connection.url)
    client = _protocol_client(connection, address)
    try:
        yield client
    finally:
        await client.close()


def _protocol_client(connection: Connection, address: Address) -> "GrpcClient | HttpClient":
    # Imported here: each protocol's library costs half a second, and most Jobs need one of them.
    if address.is_grpc:
        from assay.triton.grpc_client import GrpcClient

        return GrpcClient(connection, address)
    from assay.triton.http_client import HttpClient

    return HttpClient(connection, address)
