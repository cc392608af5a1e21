import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from assay.api import ScoreReport
from assay.scoring.report import build_report
from assay.scoring.runner import Failed, Result, Scored
from assay.verification import MinerScore
from assignments import assignment

STARTED = datetime(2026, 11, 24, 20, 15, tzinfo=UTC)
DIGEST = "sha256:" + "0" * 64


def report(result: Result) -> dict[str, Any]:
    return build_report(
        assignment(), DIGEST, result, started_at=STARTED, finished_at=STARTED + timedelta(seconds=7, milliseconds=5)
    )


def row(weight: int = 65535) -> MinerScore:
    return MinerScore(weight, samples=32, failures=1, quality_ppm=968_750, latency_p50_us=8100, latency_p99_us=15300)


def test_the_report_goes_where_the_assignment_says() -> None:
    manifest = report(Scored({}))
    assert (manifest["apiVersion"], manifest["kind"]) == ("assay.dev/v1alpha1", "ScoreReport")
    assert (manifest["metadata"]["namespace"], manifest["metadata"]["name"]) == ("val-a", "val-a-40-0a1b2c3d")
    assert manifest["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "assay.dev/v1alpha1",
            "kind": "ValidatorPolicy",
            "name": "val-a",
            "uid": "validator-uid",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]
    assert manifest["metadata"]["labels"]["assay.dev/epoch"] == "40"
    assert "status" not in manifest


def test_the_report_names_what_it_is_about() -> None:
    spec = report(Scored({}))["spec"]
    assert spec["subnet"] == {"namespace": "demo", "name": "embeddings", "uid": "subnet-uid"}
    assert spec["validator"] == {"name": "val-a", "uid": "validator-uid"}
    assert (spec["epoch"], spec["assignmentDigest"]) == (40, DIGEST)
    assert (spec["startedAt"], spec["finishedAt"]) == ("2026-11-24T20:15:00.000Z", "2026-11-24T20:15:07.005Z")


def test_rows_are_in_order_of_uid_and_leave_out_what_was_not_measured() -> None:
    silent = MinerScore(0, samples=32, failures=32, quality_ppm=0, latency_p50_us=None, latency_p99_us=None)
    assert report(Scored({5: silent, 2: row()}))["spec"]["scores"] == [
        {
            "uid": 2,
            "weight": 65535,
            "samples": 32,
            "failures": 1,
            "qualityPpm": 968_750,
            "latencyP50Us": 8100,
            "latencyP99Us": 15300,
        },
        {"uid": 5, "weight": 0, "samples": 32, "failures": 32, "qualityPpm": 0},
    ]


def test_a_failure_has_no_scores_and_a_bounded_message() -> None:
    spec = report(Failed("ReferenceUnavailable", "x" * 5000))["spec"]
    assert spec["failure"] == {"reason": "ReferenceUnavailable", "message": "x" * 1024}
    assert spec["scores"] == []
    assert "packed" not in spec


@pytest.mark.parametrize(("miners", "packed"), [(256, False), (257, True), (4096, True)])
def test_beyond_256_miners_the_columns_are_packed(miners: int, packed: bool) -> None:
    weights = [(uid * 7919) % 65536 for uid in range(miners)]
    manifest = report(Scored({uid: row(weight) for uid, weight in enumerate(weights)}))
    spec = manifest["spec"]
    assert ("packed" in spec) is packed
    assert len(spec["scores"]) == (0 if packed else miners)
    if packed:
        assert unpacked(spec["packed"]["uids"]) == list(range(miners))
        assert unpacked(spec["packed"]["weights"]) == weights
        assert len(json.dumps(manifest)) < 24 * 1024


@pytest.mark.parametrize("result", [Scored({0: row()}), Failed("ReferenceUnavailable", "no answer")])
def test_a_report_is_a_valid_object(result: Result) -> None:
    assert ScoreReport.parse(report(result)).spec.epoch == 40


def unpacked(column: str) -> list[int]:
    return [int(value) for value in np.frombuffer(base64.b64decode(column), "<u2")]
