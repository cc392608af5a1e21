"""Puts the image builder, which is no part of the product's package, on the import path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "hack/images"))
