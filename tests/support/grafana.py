"""A dashboard's queries, and its variables filled in as Grafana does it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BUILT_IN = {"__rate_interval": "1m", "__interval": "15s", "__range": "30m"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
LABEL_VALUES = re.compile(r"label_values\((?:(?P<selector>.+), )?(?P<label>\w+)\)")


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    title: str
    ref: str
    expr: str
    instant: bool


def queries(board: Mapping[str, Any]) -> Iterator[Query]:
    """The queries of all panels, those in rows too."""
    for panel in board["panels"]:
        yield from queries({"panels": panel.get("panels") or ()})
        for target in panel.get("targets") or ():
            yield Query(panel["title"], target["refId"], target["expr"], bool(target.get("instant")))


def expand(text: str, values: Mapping[str, str]) -> str:
    """The text with every variable filled in. Raises KeyError for one that is not known."""
    known = {**BUILT_IN, **values}
    # "$1" in label_replace is no variable
    return VARIABLE.sub(lambda m: m[0] if (m[1] or m[2]).isdigit() else known[m[1] or m[2]], text)


def label_values(query: str) -> tuple[str, str]:
    """Selector and label of a variable's query `label_values(selector, label)`."""
    match = LABEL_VALUES.fullmatch(query)
    if match is None:
        raise ValueError(f"{query!r} is not label_values(selector, label)")
    return match["selector"] or "", match["label"]


def joined(values: list[str]) -> str:
    """How Grafana writes several values into a regular expression inside a PromQL string."""
    return "|".join(re.escape(value).replace("\\", "\\\\") for value in values)
