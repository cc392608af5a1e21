"""The ScoreReport, built from a result.

Owns the report's shape, down to the order of its rows: the same result gives the same bytes. Filing is in
`assay.scoring.filing`, which costs a second to import and is not needed for a replay.
"""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assay import __version__
from assay.api import (
    Assignment,
    ObjectMeta,
    PackedScores,
    ReportFailure,
    Score,
    Scorer,
    ScoreReport,
    ScoreReportSpec,
    SubnetIdentity,
    ValidatorIdentity,
)
from assay.scoring.runner import Failed, Result
from assay.verification import MinerScore

ROWS_MAX = 256
MESSAGE_CHARACTERS_MAX = 1024


class NotFiled(Exception):
    """The report could not be filed; the message says why and what to do."""


def build_report(
    assignment: Assignment,
    assignment_digest: str,
    result: Result,
    *,
    started_at: datetime,
    finished_at: datetime,
    image_digest: str = "",
) -> dict[str, Any]:
    """The manifest to create. Rows are in order of UID; beyond 256 miners there are packed columns instead."""
    scores = {} if isinstance(result, Failed) else dict(sorted(result.scores.items()))
    report = ScoreReport(
        metadata=ObjectMeta(
            name=assignment.report.name,
            namespace=assignment.report.namespace,
            labels=_labels(assignment),
            owner_references=(assignment.report.owner_reference,),
        ),
        spec=ScoreReportSpec(
            subnet=SubnetIdentity.model_validate(assignment.subnet.model_dump()),
            epoch=assignment.epoch,
            validator=ValidatorIdentity(name=assignment.validator.name, uid=assignment.validator.uid),
            assignment_digest=assignment_digest,
            scores=tuple(_row(uid, row) for uid, row in scores.items()) if len(scores) <= ROWS_MAX else (),
            packed=_packed(scores) if len(scores) > ROWS_MAX else None,
            failure=_failure(result) if isinstance(result, Failed) else None,
            scorer=Scorer(version=__version__, image_digest=image_digest),
            started_at=_rfc3339(started_at),
            finished_at=_rfc3339(finished_at),
        ),
    )
    wire = report.to_wire()
    del wire["status"]
    return wire


def _row(uid: int, row: MinerScore) -> Score:
    return Score(
        uid=uid,
        weight=row.weight_u16,
        samples=row.samples,
        failures=row.failures,
        quality_ppm=row.quality_ppm,
        latency_p50_us=row.latency_p50_us,
        latency_p99_us=row.latency_p99_us,
    )


def _packed(scores: Mapping[int, MinerScore]) -> PackedScores:
    return PackedScores(uids=_column(list(scores)), weights=_column([row.weight_u16 for row in scores.values()]))


def _column(values: list[int]) -> str:
    return base64.b64encode(np.array(values, "<u2").tobytes()).decode("ascii")


def _failure(result: Failed) -> ReportFailure:
    return ReportFailure(reason=result.reason, message=result.message[:MESSAGE_CHARACTERS_MAX])


def _labels(assignment: Assignment) -> dict[str, str]:
    return {
        "app.kubernetes.io/managed-by": "assay",
        "app.kubernetes.io/name": "scorer",
        "app.kubernetes.io/part-of": "assay",
        "app.kubernetes.io/instance": assignment.validator.name,
        "assay.dev/kind": "ValidatorPolicy",
        "assay.dev/name": assignment.validator.name,
        "assay.dev/epoch": str(assignment.epoch),
    }


def _rfc3339(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
