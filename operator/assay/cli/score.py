"""`assay score`: carry out one assignment and file its ScoreReport.

Exit status: 0 the report is filed or written (also one without scores), 1 it is not, 2 the assignment is unusable.
Standard output carries a report or nothing; the log goes to standard error, one JSON object a line.
"""

import asyncio
import json
import logging
import os
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

log = logging.getLogger(__name__)

FILING_PATIENCE_S = 10.0
# A replay has no deadline to keep, and is done long after the one that the assignment had.
REPLAY_S = 120.0
STANDARD_OUTPUT = Path("-")


def run(
    assignment: Annotated[Path, typer.Option(help="The assignment, as the operator wrote it.", dir_okay=False)],
    output: Annotated[
        Path | None, typer.Option(help="Write the ScoreReport to this file (- for standard output), create nothing.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same as --output -.")] = False,
    image_digest: Annotated[
        str, typer.Option(help="Digest of the scorer's image, for the report.", envvar="ASSAY_SCORER_IMAGE_DIGEST")
    ] = "",
) -> None:
    """Ask every miner of an assignment, and file one ScoreReport."""
    from assay.api import InvalidObject
    from assay.scoring.report import NotFiled

    _log_to_stderr()
    _allow_many_connections()
    destination = STANDARD_OUTPUT if dry_run and output is None else output
    try:
        asyncio.run(_score(assignment.read_bytes(), destination, image_digest))
    except InvalidObject as error:
        typer.echo(f"{assignment}: {error}", err=True)
        raise typer.Exit(2) from error
    except NotFiled as error:
        log.error("report is not filed", extra={"detail": str(error)})
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


async def _score(data: bytes, destination: Path | None, image_digest: str) -> None:
    from assay.api import Assignment, digest_of
    from assay.scoring.report import build_report
    from assay.scoring.runner import carry_out, deadline_of

    assignment = Assignment.parse_file(data)
    # Looked at first: without a way to file it, the work would be for nothing.
    file = None if destination else _filing()
    started_at = datetime.now(UTC)
    remaining_s = (deadline_of(assignment) - started_at).total_seconds()
    result = await carry_out(assignment, max(remaining_s, REPLAY_S) if destination else remaining_s)
    report = build_report(
        assignment,
        digest_of(data),
        result,
        started_at=started_at,
        finished_at=datetime.now(UTC),
        image_digest=image_digest,
    )
    if destination:
        _write(report, destination)
    if file:
        left_s = (deadline_of(assignment) - datetime.now(UTC)).total_seconds()
        await file(report, max(left_s, FILING_PATIENCE_S))


def _filing() -> "Callable[[Mapping[str, Any], float], Awaitable[None]]":
    from assay.scoring.filing import file_report, pod_configuration

    configuration = pod_configuration()
    return lambda report, patience_s: file_report(report, configuration, patience_s)


def _write(report: "Mapping[str, Any]", destination: Path) -> None:
    text = json.dumps(report, indent=2, sort_keys=True, allow_nan=False) + "\n"
    if destination == STANDARD_OUTPUT:
        sys.stdout.write(text)
    else:
        destination.write_text(text, encoding="utf-8")


def _log_to_stderr() -> None:
    """Before gRPC is imported: its C core would write lines of its own, and a stack trace for every bad message."""
    from assay.telemetry.logging import configure

    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.getLogger("grpc").setLevel(logging.CRITICAL)
    configure()


def _allow_many_connections() -> None:
    """Thousands of miners are thousands of sockets; the soft limit is often 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
