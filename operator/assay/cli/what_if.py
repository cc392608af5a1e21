"""`assay what-if`: the last committed epoch with other stakes or parameters."""

from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.cluster import ContextOption, KubeconfigOption, SubnetArgument, ask, named, read_market
from assay.cli.output import Output, OutputOption, exits, refuse, share, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.api import NamespacedName
    from assay.inspection.what_if import Change, WhatIf
    from assay.kube.client import KubeClient

EXITS = exits()
_SHARES = {"weight", "incentive", "trust", "dividends"}


def run(
    subnet: SubnetArgument,
    changes: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="validators.NAME.stake=500, consensus.kappa=40000, consensus.liquidAlpha.enabled=true,"
            " emission.perEpoch=1000: fields as in the Subnet's spec. Repeatable.",
            show_default=False,
        ),
    ],
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Compute the last committed epoch with other stakes or parameters, and show who would earn what. Changes nothing.

    What is changed must be there already: a validator of the subnet, a field of `spec.consensus` or `spec.emission`.
    """
    from assay.inspection.what_if import CannotSet

    where = named(subnet)
    try:
        outcome = ask(lambda client: _what_if(client, where, changes), kubeconfig, context)
    except CannotSet as error:
        refuse(str(error))
    show(outcome, output, lambda: drawn(outcome))


async def _what_if(client: "KubeClient", where: "NamespacedName", changes: list[str]) -> "WhatIf":
    from assay.inspection.what_if import what_if

    return what_if(await read_market(client, where), changes)


def drawn(outcome: "WhatIf") -> "RenderableType":
    """The differences as a table."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    lines: list[RenderableType] = [
        Text(f"{outcome.subnet}, epoch {outcome.epoch}, with {', '.join(outcome.settings)}", style="bold")
    ]
    if not outcome.bonds:
        lines.append(Text("the bonds of the epoch before are gone: dividends start from none", style="yellow"))
    if not outcome.faithful:
        told = "without the change, too, the objects of now give other numbers than were committed; see assay replay"
        lines.append(Text(told, style="yellow"))
    if not outcome.changes:
        return Group(*lines, Text("nothing changes"))
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("UID", "MEMBER", "FIELD", "BEFORE", "AFTER", "CHANGE"):
        table.add_column(name, justify="left" if name in ("MEMBER", "FIELD") else "right")
    for change in outcome.changes:
        table.add_row(str(change.uid), Text(change.member), change.field, *_cells(change))
    return Group(*lines, table)


def _cells(change: "Change") -> tuple[str, str, str]:
    if isinstance(change.before, bool):
        return ("yes" if change.before else "no", "yes" if change.after else "no", "")
    if change.field not in _SHARES:
        return str(change.before), str(change.after), f"{change.after - change.before:+d}"
    points = (change.after - change.before) / 655.35
    return share(change.before), share(change.after), f"{points:+.2f} points"
