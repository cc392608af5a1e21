"""Puts the demo's model builder, which is a script and no package, on the import path."""

import sys
from pathlib import Path

MODELS = Path(__file__).resolve().parents[3] / "examples/embeddings/models"
sys.path[:0] = [str(MODELS), str(MODELS / "servable")]
