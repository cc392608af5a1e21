"""The demo's subnet as it stood after epoch 42 on a real cluster: raw objects, and the market they make.

The recording is in tests/data/demo: `kubectl get -o json` of five kinds, without field ownership and annotations.
"""

import copy
import json
from collections.abc import Callable
from typing import Any

from assay.inspection.market import Market, market_of
from cluster import ROOT

FOLDER = ROOT / "tests" / "data" / "demo"
KINDS = ("modeldeployments", "validatorpolicies", "scorereports", "bonds")
Objects = dict[str, Any]
_RECORDED: Objects = {
    "subnet": json.loads((FOLDER / "subnet.json").read_text(encoding="utf-8")),
    **{kind: json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))["items"] for kind in KINDS},
}


def objects(change: Callable[[Objects], object] | None = None) -> Objects:
    """The raw objects: `subnet`, and a list under each of `KINDS`; `change` may alter this copy in place."""
    fresh = copy.deepcopy(_RECORDED)
    if change:
        change(fresh)
    return fresh


def market(change: Callable[[Objects], object] | None = None) -> Market:
    """What is read of the objects."""
    raw = objects(change)
    return market_of(
        raw["subnet"],
        deployments=raw["modeldeployments"],
        policies=raw["validatorpolicies"],
        reports=raw["scorereports"],
        config_maps=raw["bonds"],
    )


def without(kind: str, *, epoch: int, name: str = "") -> Callable[[Objects], None]:
    """A change that takes out reports or bonds of an epoch, all of them or those whose name begins so."""

    def remove(raw: Objects) -> None:
        raw[kind] = [obj for obj in raw[kind] if epoch_of(obj) != epoch or not obj["metadata"]["name"].startswith(name)]

    return remove


def epoch_of(obj: Objects) -> int:
    """Of a report, whose scorer may have given it no labels, or of a chunk of bonds."""
    return int(obj["spec"]["epoch"] if "spec" in obj else obj["metadata"]["labels"]["assay.dev/epoch"])
