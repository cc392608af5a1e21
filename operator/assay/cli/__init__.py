"""The `assay` command. Each sub-command imports what it needs when it runs, so that `--help` stays quick."""

import typer

from assay.cli import crds, epoch, operator, score

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
app.add_typer(epoch.app, name="epoch")
app.command("operator")(operator.run)
app.command("score")(score.run)
app.command("crds")(crds.run)


def main() -> None:
    """Entry point of the console script."""
    app()
