"""The `assay` command. Each sub-command imports what it needs when it runs, so that `--help` stays quick."""

import typer

from assay.cli import crds, doctor, epoch, explain, operator, replay, score, status, validate, what_if

app = typer.Typer(no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)
app.command("status", epilog=status.EXITS)(status.run)
app.command("explain", epilog=explain.EXITS)(explain.run)
app.command("replay", epilog=replay.EXITS)(replay.run)
app.command("what-if", epilog=what_if.EXITS)(what_if.run)
app.command("doctor", epilog=doctor.EXITS)(doctor.run)
app.command("validate", epilog=validate.EXITS)(validate.run)
app.add_typer(epoch.app, name="epoch")
app.command("operator")(operator.run)
app.command("score")(score.run)
app.command("crds")(crds.run)


def main() -> None:
    """Entry point of the console script."""
    app()
