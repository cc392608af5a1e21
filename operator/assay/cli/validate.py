"""`assay validate`: judge manifests without a cluster."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from assay.cli.output import UNUSABLE, Output, OutputOption, exits, plain, show

if TYPE_CHECKING:
    from assay.inspection.manifests import Judgement

EXITS = exits(cluster=False)


def run(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="YAML or JSON; - for standard input.", show_default=False)
    ],
    output: OutputOption = Output.TABLE,
) -> None:
    """Judge manifests offline, by the models that the CRDs are made of, and name every problem.

    Fields that do not exist are problems too, where the API server would drop them. Objects of other API groups are
    not looked at. Problems go to standard error, one a line.
    """
    from assay.inspection.manifests import Judgement, judge_text

    judged: dict[str, Judgement] = {}
    for file in files:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
            judged[file] = judge_text(text)
        except OSError as error:
            judged[file] = Judgement(0, 0, (f"{error.strerror}; name a file that can be read",))
        except UnicodeDecodeError as error:
            judged[file] = Judgement(0, 0, (f"not UTF-8: {error.reason} at byte {error.start}",))
    if output is Output.TABLE:
        _tell(judged)
    else:
        show([{"file": file, **plain(one)} for file, one in judged.items()], output, lambda: "")
    if any(one.problems for one in judged.values()):
        raise typer.Exit(UNUSABLE)


def _tell(judged: "dict[str, Judgement]") -> None:
    for file, one in judged.items():
        for problem in one.problems:
            typer.echo(f"{file}: {problem}", err=True)
        if not one.problems:
            others = f", {one.others} of other groups not looked at" if one.others else ""
            typer.echo(f"{file}: {one.sound} sound{others}")
