"""`assay explain`: why a miner has its weight, down to the reports."""

from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.cluster import ContextOption, KubeconfigOption, SubnetArgument, ask, named, read_market
from assay.cli.output import Output, OutputOption, exits, show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from assay.api import NamespacedName
    from assay.inspection.account import Account, Opinion
    from assay.kube.client import KubeClient

EXITS = exits()


def run(
    subnet: SubnetArgument,
    miner: Annotated[str, typer.Argument(metavar="MINER", help="Its name, namespace/name, or number in the subnet.")],
    output: OutputOption = Output.TABLE,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
) -> None:
    """Tell why a miner has its weight: every report of the committed epoch, and what the consensus made of it."""
    where = named(subnet)
    told = ask(lambda client: _account(client, where, miner), kubeconfig, context)
    show(told, output, lambda: drawn(told))


async def _account(client: "KubeClient", where: "NamespacedName", miner: str) -> "Account":
    from assay.inspection.account import account

    return account(await read_market(client, where, bonds=False), miner)


def drawn(told: "Account") -> "RenderableType":
    """The account as sentences above a table of the reports."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("VALIDATOR", "STAKE", "WEIGHT", "QUALITY", "FAILED", "P50", "P99", "SHARE", "COUNTED", "NOTE"):
        left = name in ("VALIDATOR", "NOTE")
        table.add_column(name, justify="left" if left else "right", no_wrap=name != "NOTE")
    for one in told.opinions:
        table.add_row(*(Text(cell) for cell in _cells(one)))
    title = Text(f"{told.miner} in {told.subnet}, epoch {told.epoch}", style="bold")
    return Group(title, *(Text(sentence) for sentence in told.sentences), Text(""), table)


def _cells(one: "Opinion") -> tuple[str, ...]:
    quality = "-" if one.quality_ppm is None else f"{one.quality_ppm / 1_000_000:.6f}"
    failed = "-" if one.samples is None else f"{one.failures}/{one.samples}"
    return (
        one.validator,
        str(one.stake),
        "-" if one.weight is None else str(one.weight),
        quality,
        failed,
        _milliseconds(one.latency_p50_us),
        _milliseconds(one.latency_p99_us),
        one.share or "-",
        one.counted or "-",
        one.note,
    )


def _milliseconds(latency_us: int | None) -> str:
    return "-" if latency_us is None else f"{latency_us / 1000:.1f} ms"
