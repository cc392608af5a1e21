"""A BERT sentence encoder written out in NumPy, float64: the independent reference for the demo's ONNX graph.

Shares no code with the graph's builder, takes no batch and no mask: one sentence's token ids in, one unit vector out.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
_erf = np.vectorize(math.erf, otypes=[np.float64])


def encode(ids: list[int], weights: Mapping[str, npt.NDArray[np.float32]], *, layers: int, heads: int) -> Array:
    """The mean of the last token states, scaled to length one."""
    w = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = _norm(x + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    for layer in range(layers):
        at = f"encoder.layer.{layer}"
        x = _norm(
            x + _dense(_attention(x, w, at, heads), w, f"{at}.attention.output.dense"),
            w,
            f"{at}.attention.output.LayerNorm",
        )
        wide = _dense(x, w, f"{at}.intermediate.dense")
        narrow = _dense(wide * (1 + _erf(wide / math.sqrt(2))) / 2, w, f"{at}.output.dense")
        x = _norm(x + narrow, w, f"{at}.output.LayerNorm")
    mean = x.mean(axis=0)
    return mean / np.linalg.norm(mean)


def _attention(x: Array, w: Mapping[str, Array], at: str, heads: int) -> Array:
    q, k, v = (_dense(x, w, f"{at}.attention.self.{part}") for part in ("query", "key", "value"))
    width = x.shape[1] // heads
    mixed = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(width))
        mixed.append(scores / scores.sum(axis=1, keepdims=True) @ v[:, part])
    return np.concatenate(mixed, axis=1)


def _dense(x: Array, w: Mapping[str, Array], name: str) -> Array:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _norm(x: Array, w: Mapping[str, Array], name: str) -> Array:
    centred = x - x.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-12)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]
