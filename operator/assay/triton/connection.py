"""What both protocols are given and give back: how to reach a model, and what it says of itself."""

from dataclasses import dataclass
from typing import NamedTuple

from assay.triton.tensors import TensorSpec


@dataclass(frozen=True)
class Connection:
    """How to reach one model on one server.

    `url`: grpc(s):// or http(s)://. `ca_pem`: the certificates to trust instead of the system's. `token`: sent as a
    bearer token, over TLS only. `timeout_s`: the total deadline of each call, connecting included.
    `response_bytes_max`: the largest answer that is read, metadata included.
    """

    url: str
    model: str
    version: str
    timeout_s: float
    response_bytes_max: int
    ca_pem: str | None = None
    token: str | None = None


class Metadata(NamedTuple):
    """What a model says that it takes and gives."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
