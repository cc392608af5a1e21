"""`assay replay`: recompute the last committed epoch from the cluster's objects, and compare digests."""

from typing import TYPE_CHECKING

import typer

from assay.cli.cluster import ContextOption, KubeconfigOption, SubnetArgument, ask, named, read_market
from assay.cli.output import INCOMPLETE, NEGATIVE, Output, OutputOption, exits, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.api import NamespacedName
    from assay.inspection.replay import Replay
    from assay.kube.client import KubeClient

EXITS = exits(
    negative="a digest is another than the committed one",
    incomplete="an input is missing, so not every digest could be recomputed",
)


def run(
    subnet: SubnetArgument,
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Recompute the last committed epoch from reports, bonds and rows, and compare it with what was committed.

    Whoever may read the objects can check the operator so. Stakes and parameters are taken from the Subnet as it is
    now: after a change of its spec, wait for the next commit.
    """
    from assay.inspection.replay import DIFFERENT, REPRODUCED

    where = named(subnet)
    done = ask(lambda client: _replay(client, where), kubeconfig, context)
    show(done, output, lambda: drawn(done))
    if done.verdict != REPRODUCED:
        raise typer.Exit(NEGATIVE if done.verdict == DIFFERENT else INCOMPLETE)


async def _replay(client: "KubeClient", where: "NamespacedName") -> "Replay":
    from assay.inspection.replay import replay

    return replay(await read_market(client, where))


def drawn(done: "Replay") -> "RenderableType":
    """The comparison, then what it rests on or what it lacks."""
    from rich.console import Group
    from rich.text import Text

    style = "bold green" if done.verdict == "Reproduced" else "bold red"
    lines: list[RenderableType] = [
        Text(f"epoch {done.epoch}, committed at {done.committed_at}: {done.verdict}", style=style)
    ]
    for one in done.comparisons:
        if one.recomputed is None:
            lines.append(Text(f"  {one.what:<6}  {one.committed}  not recomputed", style="yellow"))
        elif one.same:
            lines.append(Text(f"  {one.what:<6}  {one.committed}  the same"))
        else:
            lines += [
                Text(f"  {one.what:<6}  {one.committed}  committed", style="red"),
                Text(f"  {'':<6}  {one.recomputed}  recomputed", style="red"),
            ]
    lines += [Text(f"missing: {line}", style="yellow") for line in done.missing]
    lines += [Text(f"changed: {line}", style="yellow") for line in done.changed]
    lines += [Text(f"from: {line}", style="dim") for line in done.inputs]
    return Group(*lines)
