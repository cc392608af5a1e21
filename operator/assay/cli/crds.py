"""`assay crds`: write the CustomResourceDefinitions, rendered from the models of `assay.api`."""

from pathlib import Path
from typing import Annotated

import typer


def run(
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write one file per kind into; without it, all are printed.", file_okay=False),
    ] = None,
) -> None:
    """Render the CustomResourceDefinitions of all kinds."""
    from assay.api import KINDS
    from assay.api.crd import render

    files = {f"{kind.DEFINITION.plural}.yaml": render(kind) for kind in KINDS}
    if out is None:
        typer.echo("---\n".join(files.values()), nl=False)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (out / name).write_text(text, encoding="utf-8")
    except OSError as error:
        typer.echo(f"--out {out}: cannot write there: {error.strerror}; name a folder that you may write to", err=True)
        raise typer.Exit(1) from None
