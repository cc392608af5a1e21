"""Asking KServe v2 servers - Triton and what speaks like it - within bounds of time and bytes.

The only importer of tritonclient. Whatever a server does, a call ends by its deadline with an answer or with one
`InferenceFailure` of a closed set of reasons; nothing else leaves this package.
"""

from assay.triton.address import Address, InvalidAddress, parse_address
from assay.triton.client import Client, open_client
from assay.triton.connection import Connection
from assay.triton.failures import InferenceFailure, Reason
from assay.triton.tensors import InvalidTensor, Tensor, TensorSpec, tensor_from_json, wire_bytes

__all__ = [
    "Address",
    "Client",
    "Connection",
    "InferenceFailure",
    "InvalidAddress",
    "InvalidTensor",
    "Reason",
    "Tensor",
    "TensorSpec",
    "open_client",
    "parse_address",
    "tensor_from_json",
    "wire_bytes",
]
