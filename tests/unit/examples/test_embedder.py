"""What runs inside Triton, without Triton: tokenisation, pooling of unknown graphs, one sentence at a time."""

from pathlib import Path

import embedder
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "a", "b", "c"]


@pytest.fixture
def tokenizer_file(tmp_path: Path) -> Path:
    """A tokenizer stored as the model's is: with padding to 128 and truncation at 128 switched on."""
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)])
    tokenizer.enable_padding(length=128)
    tokenizer.enable_truncation(128)
    path = tmp_path / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def state_graph(folder: Path, outputs: list[str]) -> None:
    """A graph whose token states are rows of a table; its names are as odd as an exporter's."""
    table = np.random.default_rng(1).standard_normal((len(WORDS), embedder.WIDTH)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["onnx::Shape_422"]),
        helper.make_node("Cast", ["attention_mask"], ["461"], to=TensorProto.FLOAT),
        helper.make_node("Identity", ["third"], ["463"]),
        helper.make_node("ReduceMean", ["onnx::Shape_422", "axis"], ["sentence_embedding"], keepdims=0),
    ]
    shapes = {
        "461": (1, ["b", "s"]),
        "463": (7, ["b", "s"]),
        "onnx::Shape_422": (1, ["b", "s", 384]),
        "sentence_embedding": (1, ["b", 384]),
    }
    graph = helper.make_graph(
        nodes,
        "states",
        [
            helper.make_tensor_value_info(n, TensorProto.INT64, ["b", "s"])
            for n in ("input_ids", "attention_mask", "third")
        ],
        [helper.make_tensor_value_info(name, *shapes[name]) for name in outputs],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        pytest.param("a b", [1, 4, 5, 2], id="the padding stored in the file is off"),
        pytest.param("", [1, 2], id="an empty text still has its two special tokens"),
        pytest.param("zzz", [1, 3, 2], id="an unknown word is [UNK]"),
        pytest.param("c " * 1000, [1] + [6] * 254 + [2], id="a long text is cut to 256 and keeps [SEP]"),
    ],
)
def test_tokenisation(tokenizer_file: Path, text: str, ids: list[int]) -> None:
    assert embedder.load_tokenizer(tokenizer_file).encode(text).ids == ids


@pytest.mark.parametrize(
    "outputs",
    [
        pytest.param(["sentence_embedding", "onnx::Shape_422"], id="the pooled output is taken"),
        pytest.param(["461", "463", "onnx::Shape_422"], id="without one, the token states, whatever they are called"),
    ],
)
def test_every_graph_gives_unit_vectors_of_the_mean_state(tokenizer_file: Path, outputs: list[str]) -> None:
    state_graph(tokenizer_file.parent, outputs)
    rows = embedder.Embedder(tokenizer_file.parent).embed(["a", "b c", ""])
    table = np.random.default_rng(1).standard_normal((len(WORDS), embedder.WIDTH)).astype(np.float32)
    wanted = np.stack([table[ids].mean(axis=0) for ids in ([1, 4, 2], [1, 5, 6, 2], [1, 2])])
    np.testing.assert_allclose(rows, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)


def test_a_text_gives_the_same_bits_alone_and_among_others(tokenizer_file: Path) -> None:
    state_graph(tokenizer_file.parent, ["onnx::Shape_422"])
    loaded = embedder.Embedder(tokenizer_file.parent)
    together = loaded.embed(["a b c", "b", "a b c"])
    np.testing.assert_array_equal(together[0], loaded.embed(["a b c"])[0])
    np.testing.assert_array_equal(together[0], together[2])


def test_no_texts_give_no_rows(tokenizer_file: Path) -> None:
    state_graph(tokenizer_file.parent, ["onnx::Shape_422"])
    assert embedder.Embedder(tokenizer_file.parent).embed([]).shape == (0, embedder.WIDTH)
