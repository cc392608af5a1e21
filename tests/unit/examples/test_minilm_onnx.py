"""The ONNX writer against a NumPy re-computation, on small random weights: no download, no Triton."""

import json

import minilm_onnx
import numpy as np
import onnxruntime
import pytest
from minilm_onnx import Config

import minilm_numpy

VOCABULARY, POSITIONS, HIDDEN, HEADS = 40, 32, 24, 3


def random_weights(layers: int, seed: int = 7) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (VOCABULARY, HIDDEN),
        "embeddings.position_embeddings.weight": (POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
        "embeddings.LayerNorm.weight": (HIDDEN,),
        "embeddings.LayerNorm.bias": (HIDDEN,),
    }
    dense = {
        "attention.self.query": (HIDDEN, HIDDEN),
        "attention.self.key": (HIDDEN, HIDDEN),
        "attention.self.value": (HIDDEN, HIDDEN),
        "attention.output.dense": (HIDDEN, HIDDEN),
        "attention.output.LayerNorm": (HIDDEN,),
        "intermediate.dense": (4 * HIDDEN, HIDDEN),
        "output.dense": (HIDDEN, 4 * HIDDEN),
        "output.LayerNorm": (HIDDEN,),
    }
    for layer in range(layers):
        for name, shape in dense.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def config(layers: int) -> Config:
    return Config(layers=layers, heads=HEADS, hidden=HIDDEN, epsilon=1e-12)


def session(layers: int) -> onnxruntime.InferenceSession:
    raw = minilm_onnx.to_bytes(minilm_onnx.build(random_weights(layers), config(layers)))
    return onnxruntime.InferenceSession(raw, providers=["CPUExecutionProvider"])


def embed(
    loaded: onnxruntime.InferenceSession, ids: list[list[int]], mask: list[list[int]] | None = None
) -> np.ndarray:
    tokens = np.array(ids, np.int64)
    kept = np.ones_like(tokens) if mask is None else np.array(mask, np.int64)
    return loaded.run(["sentence_embedding"], {"input_ids": tokens, "attention_mask": kept})[0]


@pytest.mark.parametrize("layers", [1, 2, 3, 6])
def test_the_graph_has_a_head_of_15_nodes_34_a_layer_and_a_tail_of_8(layers: int) -> None:
    graph = minilm_onnx.build(random_weights(layers), config(layers)).graph
    assert len(graph.node) == 15 + 34 * layers + 8


def test_inputs_and_outputs_have_the_names_and_shapes_that_the_server_expects() -> None:
    loaded = session(1)
    assert [(i.name, i.type, i.shape) for i in loaded.get_inputs()] == [
        ("input_ids", "tensor(int64)", ["b", "s"]),
        ("attention_mask", "tensor(int64)", ["b", "s"]),
    ]
    assert [(o.name, o.type, o.shape) for o in loaded.get_outputs()] == [
        ("sentence_embedding", "tensor(float)", ["b", HIDDEN]),
        ("last_hidden_state", "tensor(float)", ["b", "s", HIDDEN]),
    ]


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(
    "ids", [[3], [1, 2, 3], [5, 5, 5, 5], list(range(32))], ids=["one", "three", "equal", "all positions"]
)
def test_it_agrees_with_numpy(layers: int, ids: list[int]) -> None:
    (got,) = embed(session(layers), [ids])
    wanted = minilm_numpy.encode(ids, random_weights(layers), layers=layers, heads=HEADS)
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    assert np.linalg.norm(got) == pytest.approx(1, abs=1e-6)


def test_padding_does_not_change_a_sentence() -> None:
    loaded = session(2)
    (alone,) = embed(loaded, [[1, 2, 3]])
    padded = embed(loaded, [[1, 2, 3, 0, 0], [9, 8, 7, 6, 5]], [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    np.testing.assert_allclose(padded[0], alone, atol=1e-6)


def test_the_same_weights_give_the_same_bytes() -> None:
    first, second = (minilm_onnx.to_bytes(minilm_onnx.build(random_weights(2), config(2))) for _ in range(2))
    assert first == second


def test_a_missing_weight_is_named() -> None:
    weights = random_weights(1)
    del weights["encoder.layer.0.output.dense.bias"]
    with pytest.raises(KeyError, match=r"encoder\.layer\.0\.output\.dense\.bias"):
        minilm_onnx.build(weights, config(1))


def test_an_activation_that_the_graph_has_not_is_refused() -> None:
    text = json.dumps({"hidden_act": "relu", "num_hidden_layers": 1, "num_attention_heads": 1})
    with pytest.raises(ValueError, match="hidden_act is 'relu'"):
        Config.from_json(text)


def test_safetensors_are_read_by_name_shape_and_type() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
            "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]},
        }
    ).encode()
    raw = len(header).to_bytes(8, "little") + header + bytes(8) + values.tobytes()
    tensors = minilm_onnx.read_safetensors(raw)
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"], values)
