"""Triton's Python backend around `Embedder`: input `text` BYTES [-1], output `embedding` FP32 [-1, 384].

DEMO_DELAY_MS in the environment makes every request that much slower: a miner that is honest, and slow.
"""

import os
import time
from pathlib import Path

import triton_python_backend_utils as pb_utils
from embedder import Embedder


class TritonPythonModel:
    """One instance of the model."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the files beside this one."""
        self.embedder = Embedder(Path(__file__).parent)
        self.delay_s = float(os.environ.get("DEMO_DELAY_MS") or 0) / 1000

    def execute(self, requests: list) -> list:
        """Answer every request; one that fails does not harm the others."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: object) -> object:
        try:
            time.sleep(self.delay_s)  # noqa: TID251 - the delay is what is wanted
            raw = pb_utils.get_input_tensor_by_name(request, "text").as_numpy()
            texts = [bytes(each).decode(errors="replace") for each in raw.reshape(-1)]
            rows = self.embedder.embed(texts)
        except Exception as error:  # noqa: BLE001 - Triton's way to fail one request
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(f"minilm: {type(error).__name__}: {error}"))
        return pb_utils.InferenceResponse([pb_utils.Tensor("embedding", rows)])
