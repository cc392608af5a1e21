"""The reference vectors, read once. The file holds a part of the known ones: nothing here counts on which."""

import json
from functools import cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "vectors" / "yuma.json"


@cache
def all_vectors() -> list[dict[str, Any]]:
    """Every vector of the file."""
    vectors: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))["vectors"]
    return vectors


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    """The vectors of some kinds."""
    return [vector for vector in all_vectors() if vector["kind"] in kinds]


def steps() -> list[tuple[str, dict[str, Any]]]:
    """(name, step) of every complete epoch."""
    return [(f"{vector['id']}-{k}", step) for vector in all_vectors() for k, step in enumerate(vector.get("steps", []))]


def with_prefix(prefix: str) -> list[dict[str, Any]]:
    """The vectors whose id begins so."""
    return [vector for vector in all_vectors() if vector["id"].startswith(prefix)]
