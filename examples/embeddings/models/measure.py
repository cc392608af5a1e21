"""Measure how far each cheat is from the honest model: python measure.py DIR  (DIR as written by build.py)

Prints the table of README.md: cosine distances to fp32 over sentences of Python's own documentation and over random
words. Needs no Triton: it runs the code that runs inside it.
"""

import argparse
import asyncio
import collections
import random
import re
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent / "servable"))

from embedder import WIDTH, Embedder

COUNT = 500
QUANTILES = (0, 0.01, 0.5, 0.99, 1)


def sentences() -> list[str]:
    """`COUNT` sentences of 40 to 240 characters, always the same on one Python."""
    modules = (argparse, asyncio, collections)
    documented = (getattr(module, name).__doc__ for module in modules for name in sorted(dir(module)))
    text = " ".join(each for each in documented if isinstance(each, str))
    found = sorted({" ".join(each.split()) for each in re.split(r"(?<=[.!?])\s+", text)})
    fitting = [each for each in found if 40 <= len(each) <= 240]
    return random.Random(1).sample(fitting, min(COUNT, len(fitting)))


def word_salads(texts: list[str]) -> list[str]:
    """`COUNT` texts of four random words each: what no model was trained on."""
    words = sorted({word.lower() for text in texts for word in re.findall(r"[A-Za-z]{3,}", text)})
    draw = random.Random(2)
    return [" ".join(draw.choices(words, k=4)) for _ in range(COUNT)]


def noise(count: int) -> np.ndarray:
    """Random unit vectors, as the noise model answers."""
    rows = np.random.default_rng(0).standard_normal((count, WIDTH))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    models = {name: Embedder(folder / name / "minilm/1") for name in ("fp32", "int8", "smaller")}
    prose = sentences()
    print("| texts | model | least | 1 % | median | 99 % | most | ms a text |\n|---|---|---|---|---|---|---|---|")
    for kind, texts in ((f"{len(prose)} sentences", prose), (f"{COUNT} x four words", word_salads(prose))):
        honest = models["fp32"].embed(texts).astype(np.float64)
        for name, model in models.items():
            began = time.perf_counter()
            answer = model.embed(texts)
            cost_ms = (time.perf_counter() - began) / len(texts) * 1000
            print(_row(kind, name, honest, answer, f"{cost_ms:.1f}"))
        print(_row(kind, "noise", honest, noise(len(texts)), ""))


def _row(kind: str, name: str, honest: np.ndarray, answer: np.ndarray, cost: str) -> str:
    distances = np.clip(1 - (honest * answer).sum(axis=1), 0, None)
    return f"| {kind} | {name} | " + " | ".join(f"{q:.1e}" for q in np.quantile(distances, QUANTILES)) + f" | {cost} |"


if __name__ == "__main__":
    main()
