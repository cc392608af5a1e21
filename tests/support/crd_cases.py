"""The tables of good and bad objects in tests/integration/crd_cases: one file a kind, one object a case.

Owns how a case becomes an object: the file's base, changed by dotted paths. The tables are read by the unit tests (what
do the models say?) and by the integration tests (what does the real API server say?): both answer the same questions.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

FOLDER = Path(__file__).resolve().parents[1] / "integration" / "crd_cases"
Verdict = Literal["good", "bad", "unknown"]


@dataclass(frozen=True)
class Case:
    """One object and what is expected of it."""

    kind: str
    name: str
    verdict: Verdict
    obj: Mapping[str, Any]
    says: tuple[str, ...] = ()
    """The API server's causes, each as `field: message`, in any order; for `unknown` fields the end of its message."""

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def load(*verdicts: Verdict) -> list[Case]:
    """Return the cases with one of the verdicts, of all kinds."""
    return [case for path in sorted(FOLDER.glob("*.yaml")) for case in _cases(path) if case.verdict in verdicts]


@cache
def _cases(path: Path) -> list[Case]:
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [
        Case(table["kind"], entry["name"], verdict, _object(table, entry), tuple(entry.get("says", ())))
        for verdict in ("good", "bad", "unknown")
        for entry in table[verdict]
    ]


def _object(table: Mapping[str, Any], entry: Mapping[str, Any]) -> Mapping[str, Any]:
    obj = {"apiVersion": "assay.dev/v1alpha1", "kind": table["kind"], **deepcopy(table["base"])}
    for dotted in entry.get("unset", ()):
        parent, key = _parent(obj, dotted)
        del parent[key]
    for dotted, value in entry.get("set", {}).items():
        parent, key = _parent(obj, dotted)
        parent[key] = _expanded(value)
    return obj


def _parent(obj: dict[str, Any], dotted: str) -> tuple[dict[str, Any], str]:
    *parents, key = dotted.split(".")
    for name in parents:
        obj = obj.setdefault(name, {})
    return obj, key


def _expanded(value: Any) -> Any:
    """Write out `{times: n, item: {...}}` as a list of n items in which `{i}` is the item's number."""
    if isinstance(value, dict) and set(value) == {"times", "item"}:
        return [_numbered(value["item"], i) for i in range(value["times"])]
    return value


def _numbered(value: Any, i: int) -> Any:
    if isinstance(value, dict):
        return {key: _numbered(inner, i) for key, inner in value.items()}
    if value == "{i}":
        return i
    return value.replace("{i}", f"{i:03}") if isinstance(value, str) else value
