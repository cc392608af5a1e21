"""Sentences to unit vectors by an ONNX BERT encoder and its tokenizer, one thread, one sentence at a time.

Knows nothing of Triton. Sentence by sentence costs no more than a padded batch on one thread, and makes a sentence's
vector the same bits whatever else is asked with it.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MAX_TOKENS = 256  # as the model was trained, [CLS] and [SEP] included
WIDTH = 384


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer without the padding stored in its file, and with truncation that keeps [SEP]."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


class Embedder:
    """One loaded model. `embed` is deterministic on one machine."""

    def __init__(self, folder: Path) -> None:
        """Load `model.onnx` and `tokenizer.json` of `folder`."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.tokenizer = load_tokenizer(folder / "tokenizer.json")
        self.inputs = [each.name for each in self.session.get_inputs()]
        self.output = _output(self.session)

    def embed(self, texts: list[str]) -> np.ndarray:
        """Embed `texts`: FP32 [len(texts), 384], every row of length one."""
        rows = np.zeros((len(texts), WIDTH), np.float32)
        for row, text in zip(rows, texts, strict=True):
            row[:] = self._embed(text)
        return rows

    def _embed(self, text: str) -> np.ndarray:
        ids = np.array([self.tokenizer.encode(text).ids], np.int64)
        known = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        feed = {name: known.get(name, np.zeros_like(ids)) for name in self.inputs}  # the rest are token types
        (answer,) = self.session.run([self.output], feed)
        vector = answer[0].mean(axis=0) if answer.ndim == 3 else answer[0]
        return vector / np.linalg.norm(vector)


def _output(session: onnxruntime.InferenceSession) -> str:
    """The pooled output if the graph has one, else its token states: exporters name those as they like."""
    outputs = session.get_outputs()
    named = [each.name for each in outputs if each.name == "sentence_embedding"]
    return (named + [each.name for each in outputs if len(each.shape) == 3])[0]
