"""Assignments for tests: one builder with defaults, instead of long literals.

assignment(miners=["grpc://127.0.0.1:8001", None], reference="grpc://127.0.0.1:8002", samples=8)
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from assay.api import Assignment

SEED = "5eed" * 16


def assignment_object(
    *,
    miners: Sequence[str | None] = (),
    reference: str | None = None,
    samples: int = 8,
    seconds: float = 60.0,
    model: str = "tiny",
    challenge: Mapping[str, Any] | None = None,
    scoring: Mapping[str, Any] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The JSON object of an assignment whose miners have the UIDs 0, 1, … and these URLs."""
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "schema": "assay.dev/assignment/v1",
        "subnet": {"namespace": "demo", "name": "embeddings", "uid": "subnet-uid"},
        "epoch": 40,
        "validator": {"namespace": "val-a", "name": "val-a", "uid": "validator-uid"},
        "report": {
            "namespace": "val-a",
            "name": "val-a-40-0a1b2c3d",
            "ownerReference": {
                "apiVersion": "assay.dev/v1alpha1",
                "kind": "ValidatorPolicy",
                "name": "val-a",
                "uid": "validator-uid",
                "controller": True,
                "blockOwnerDeletion": True,
            },
        },
        "deadline": deadline.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "seed": SEED,
        "task": "Embedding",
        "model": {"name": model, "version": "1"},
        "miners": [
            {"uid": uid, "namespace": "m", "name": f"miner-{uid}", "url": url} for uid, url in enumerate(miners)
        ],
        "challenge": {
            "samplesPerMiner": samples,
            "random": {"kind": "Sentences"},
            "timeoutMs": 1000,
            "concurrencyPerMiner": 2,
            "concurrencyTotal": 32,
            **(challenge or {}),
        },
        "reference": None if reference is None else {"url": reference},
        "scoring": {
            "metric": "CosineDistance",
            "tolerance": "0.001",
            "latencyTargetMs": 5000,
            "latencyWeightPercent": 20,
            "exponent": 2,
            **(scoring or {}),
        },
        **changes,
    }


def assignment(**parts: Any) -> Assignment:
    """The assignment that `assignment_object` describes."""
    return Assignment.model_validate(assignment_object(**parts))
