"""The composition root: what `assay operator` is made of, and how it starts and stops."""

from assay.app.operator import Operator
from assay.app.options import Options

__all__ = ["Operator", "Options"]
