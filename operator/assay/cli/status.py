"""`assay status`: a subnet at a glance, once or live."""

import asyncio
import contextlib
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.cluster import ContextOption, KubeconfigOption, SubnetArgument, ask, named, read_market
from assay.cli.output import Output, OutputOption, console, exits, plain, share, show

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from assay.api import NamespacedName
    from assay.inspection.overview import Overview
    from assay.kube.client import KubeClient

EXITS = exits()
_TICK_S = 1.0
_MARKS = {"True": "green", "False": "red", "Unknown": "yellow"}


def run(
    subnet: SubnetArgument,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Stay and follow every change, until Ctrl-C; with -o json one a line.")
    ] = False,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Show a subnet at a glance: clock, miners by incentive and why, validators, conditions."""
    where = named(subnet)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):
            ask(lambda client: _follow(client, where, output), kubeconfig, context)
        return
    seen = ask(lambda client: _look(client, where), kubeconfig, context)
    show(seen, output, lambda: drawn(seen))


async def _look(client: "KubeClient", where: "NamespacedName") -> "Overview":
    from assay.inspection.overview import overview

    return overview(await read_market(client, where, bonds=False), datetime.now(UTC))


async def _follow(client: "KubeClient", where: "NamespacedName", output: Output) -> None:
    """Look again at every change of the Subnet; on a terminal the clock also ticks."""
    from rich.live import Live

    from assay.inspection.overview import overview

    changed = asyncio.Event()
    watching = asyncio.create_task(_watch(client, where, changed))
    live = Live(console=console(), auto_refresh=False) if output is Output.TABLE and sys.stdout.isatty() else None
    try:
        with live or contextlib.nullcontext():
            while not watching.done():
                market = await read_market(client, where, bonds=False)
                changed.clear()
                _print(overview(market, datetime.now(UTC)), output, live)
                while not changed.is_set() and not watching.done():
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), _TICK_S)
                    if live:
                        _print(overview(market, datetime.now(UTC)), output, live)
        await watching
    finally:
        watching.cancel()


async def _watch(client: "KubeClient", where: "NamespacedName", changed: asyncio.Event) -> None:
    """Set `changed` at every event of the Subnet. Raises KubeError once the server can be watched no more."""
    from assay.kube.errors import Gone
    from assay.kube.resources import Resource

    resource = Resource("assay.dev", "v1alpha1", "subnets", "Subnet")
    selector = f"metadata.name={where.name}"
    while True:
        _, version = await client.list(resource, where.namespace, field_selector=selector)
        changed.set()
        with contextlib.suppress(Gone):
            async with contextlib.aclosing(
                client.watch(resource, version, where.namespace, field_selector=selector)
            ) as events:
                async for event in events:
                    if event.type != "BOOKMARK":
                        changed.set()


def _print(seen: "Overview", output: Output, live: "Live | None") -> None:
    if live:
        live.update(drawn(seen), refresh=True)
    elif output is Output.JSON:
        typer.echo(json.dumps(plain(seen), ensure_ascii=False))
    else:
        if output is Output.YAML:
            typer.echo("---")
        show(seen, output, lambda: drawn(seen))
    sys.stdout.flush()


def drawn(seen: "Overview") -> "RenderableType":
    """The overview as tables."""
    from rich.console import Group
    from rich.text import Text

    lines: list[RenderableType] = [
        Text(f"{seen.subnet}  {seen.task}, {seen.model}", style="bold"),
        Text(seen.clock.words),
        _miners(seen),
        _validators(seen),
    ]
    for one in seen.conditions:
        said = f"{one.type}={one.status} {one.reason}" + (f": {one.message}" if one.message else "")
        lines.append(Text(said, style=_MARKS.get(one.status, "")))
    lines += [Text(f"rejected, {line}", style="yellow") for line in seen.rejected]
    lines += [Text(f"not readable: {line}", style="yellow") for line in seen.unreadable]
    return Group(*lines)


def _miners(seen: "Overview") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("UID", "MINER", "WEIGHT", "INCENTIVE", "EMISSION", "SCORE", "READY", "WHY"):
        table.add_column(name, justify="left" if name in ("MINER", "READY", "WHY") else "right", no_wrap=name != "WHY")
    for row in seen.miners:
        ready = {True: "yes", False: "no", None: "?"}[row.ready]
        numbers = (share(row.weight), share(row.incentive), str(row.emission), row.score or "-")
        table.add_row(str(row.uid), Text(row.miner), *numbers, ready, Text(row.why))
    return table


def _validators(seen: "Overview") -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("UID", "VALIDATOR", "STAKE", "PERMIT", "TRUST", "DIVIDENDS", "EMISSION", "REPORT", "WHY"):
        left = name in ("VALIDATOR", "PERMIT", "WHY")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "WHY")
    for row in seen.validators:
        numbers = (share(row.trust), share(row.dividends), str(row.emission))
        last = str(row.last_report) if row.last_report is not None else "-"
        permit = "yes" if row.permit else "no"
        table.add_row(str(row.uid), Text(row.validator), str(row.stake), permit, *numbers, last, Text(row.why))
    return table
