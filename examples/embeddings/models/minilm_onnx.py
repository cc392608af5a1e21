"""Writes a BERT sentence encoder (all-MiniLM-L6-v2) as an ONNX graph, straight from its safetensors weights.

Needs no torch. Owns the graph's shape only: the weights are stored as they are, dense ones transposed for MatMul. The
same weights and configuration give the same bytes.

Traps met: position ids from Shape and Range make ONNX Runtime's optimiser emit an invalid Slice, so they are counted by
CumSum over zeros made from the input; since opset 18 the axes of reductions are inputs.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
IR_VERSION = 9
MASKED = -1e9  # added to the attention score of a token that is not there

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Config:
    """The part of a BERT config.json that shapes the graph."""

    layers: int
    heads: int
    hidden: int
    epsilon: float

    @classmethod
    def from_json(cls, text: str | bytes) -> "Config":
        """Read Hugging Face's config.json. Raises ValueError for an activation that is not GELU."""
        raw = json.loads(text)
        if raw["hidden_act"] != "gelu":
            raise ValueError(
                f"config.json: hidden_act is {raw['hidden_act']!r}, this graph has gelu; use another model"
            )
        return cls(raw["num_hidden_layers"], raw["num_attention_heads"], raw["hidden_size"], raw["layer_norm_eps"])


def read_safetensors(raw: bytes) -> dict[str, npt.NDArray[np.float32]]:
    """The FP32 tensors of a safetensors file: u64le header length, JSON header, raw little-endian data."""
    size = int.from_bytes(raw[:8], "little")
    header: dict[str, dict[str, object]] = json.loads(raw[8 : 8 + size])
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = (8 + size + int(at) for at in entry["data_offsets"])  # type: ignore[attr-defined]
            tensors[name] = np.frombuffer(raw[begin:end], "<f4").reshape(entry["shape"])  # type: ignore[call-overload]
    return tensors


def build(weights: Weights, config: Config) -> onnx.ModelProto:
    """The graph: `input_ids`, `attention_mask` INT64 [b, s] to `sentence_embedding` FP32 [b, hidden], unit rows, and
    `last_hidden_state` FP32 [b, s, hidden]. Raises KeyError naming a weight that is missing.
    """
    graph = _Graph(weights, config)
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    state = _embed(graph)
    bias = _attention_bias(graph, mask)
    for layer in range(config.layers):
        state = _encode(graph, state, bias, f"encoder.layer.{layer}")
    _pool(graph, state, mask)
    return graph.model()


def to_bytes(model: onnx.ModelProto) -> bytes:
    """The model's canonical bytes."""
    return bytes(model.SerializeToString(deterministic=True))


@dataclass
class _Graph:
    weights: Weights
    config: Config
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: dict[str, onnx.TensorProto] = field(default_factory=dict)

    def op(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes are of many types
        """Append a node and return its output's name."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=f"n{len(self.nodes)}", **attributes))
        return output

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype=dtype), name)
        return name

    def weight(self, name: str) -> str:
        return self.constant(name, self.weights[name])

    def dense(self, state: str, name: str) -> str:
        kernel = self.constant(f"{name}.weight.T", self.weights[f"{name}.weight"].T)
        return self.op("Add", self.op("MatMul", state, kernel), self.weight(f"{name}.bias"))

    def normalise(self, state: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.op("LayerNormalization", state, scale, bias, axis=-1, epsilon=self.config.epsilon)

    def axes(self, *values: int) -> str:
        return self.constant("axes_" + "_".join(map(str, values)), values, np.int64)

    def model(self) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "minilm",
            [_value(name, TensorProto.INT64, ["b", "s"]) for name in ("input_ids", "attention_mask")],
            [
                _value("sentence_embedding", TensorProto.FLOAT, ["b", self.config.hidden]),
                _value("last_hidden_state", TensorProto.FLOAT, ["b", "s", self.config.hidden]),
            ],
            list(self.constants.values()),
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="assay")
        onnx.checker.check_model(model)
        return model


def _value(name: str, kind: int, shape: Sequence[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _embed(graph: _Graph) -> str:
    """Word, position and (all zero) token-type embeddings, added and normalised: [b, s, hidden]."""
    one = graph.constant("one_i64", 1, np.int64)
    types = graph.op("Sub", "input_ids", "input_ids")
    ones = graph.op("Add", graph.op("Sub", "input_ids", "input_ids"), one)
    positions = graph.op("Sub", graph.op("CumSum", ones, graph.constant("axis_1", 1, np.int64)), one)
    word, place, kind = (
        graph.op("Gather", graph.weight(f"embeddings.{name}_embeddings.weight"), ids)
        for name, ids in (("word", "input_ids"), ("position", positions), ("token_type", types))
    )
    return graph.normalise(graph.op("Add", graph.op("Add", word, kind), place), "embeddings.LayerNorm")


def _attention_bias(graph: _Graph, mask: str) -> str:
    """0 for a token, `MASKED` for padding: [b, 1, 1, s]."""
    absent = graph.op("Sub", graph.constant("one", 1.0), mask)
    return graph.op("Unsqueeze", graph.op("Mul", absent, graph.constant("masked", MASKED)), graph.axes(1, 2))


def _encode(graph: _Graph, state: str, bias: str, name: str) -> str:
    """One transformer block: [b, s, hidden] to the same."""
    attended = graph.dense(_attend(graph, state, bias, f"{name}.attention.self"), f"{name}.attention.output.dense")
    state = graph.normalise(graph.op("Add", attended, state), f"{name}.attention.output.LayerNorm")
    wide = _gelu(graph, graph.dense(state, f"{name}.intermediate.dense"))
    narrow = graph.dense(wide, f"{name}.output.dense")
    return graph.normalise(graph.op("Add", narrow, state), f"{name}.output.LayerNorm")


def _attend(graph: _Graph, state: str, bias: str, name: str) -> str:
    heads, width = graph.config.heads, graph.config.hidden // graph.config.heads
    split = graph.constant("split_heads", [0, 0, heads, width], np.int64)
    join = graph.constant("join_heads", [0, 0, heads * width], np.int64)
    query, key, value = (
        graph.op("Transpose", graph.op("Reshape", graph.dense(state, f"{name}.{part}"), split), perm=order)
        for part, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3]))
    )
    scores = graph.op("Mul", graph.op("MatMul", query, key), graph.constant("scale", 1 / math.sqrt(width)))
    shares = graph.op("Softmax", graph.op("Add", scores, bias), axis=-1)
    mixed = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    return graph.op("Reshape", mixed, join)


def _gelu(graph: _Graph, x: str) -> str:
    bent = graph.op("Erf", graph.op("Div", x, graph.constant("sqrt_2", math.sqrt(2))))
    lifted = graph.op("Add", bent, graph.constant("one", 1.0))
    return graph.op("Mul", graph.op("Mul", x, lifted), graph.constant("half", 0.5))


def _pool(graph: _Graph, state: str, mask: str) -> None:
    """Mean over the tokens that are there, scaled to length one."""
    graph.op("Identity", state, output="last_hidden_state")
    kept = graph.op("Mul", state, graph.op("Unsqueeze", mask, graph.axes(2)))
    total = graph.op("ReduceSum", kept, graph.axes(1), keepdims=0)
    count = graph.op("ReduceSum", mask, graph.axes(1), keepdims=1)
    mean = graph.op("Div", total, count)
    length = graph.op("ReduceL2", mean, graph.axes(1), keepdims=1)
    graph.op("Div", mean, length, output="sentence_embedding")
