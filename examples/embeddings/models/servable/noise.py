"""A cheat for the demo: answers of the right shape and length that have nothing to do with the question."""

import numpy as np
import triton_python_backend_utils as pb_utils

WIDTH = 384


class TritonPythonModel:
    """One instance; every answer is drawn anew."""

    def initialize(self, args: dict[str, str]) -> None:
        """Seed from the operating system."""
        self.random = np.random.default_rng()

    def execute(self, requests: list) -> list:
        """Answer every request with random unit vectors."""
        return [pb_utils.InferenceResponse([pb_utils.Tensor("embedding", self._rows(each))]) for each in requests]

    def _rows(self, request: object) -> np.ndarray:
        count = pb_utils.get_input_tensor_by_name(request, "text").as_numpy().size
        rows = self.random.standard_normal((count, WIDTH)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)
