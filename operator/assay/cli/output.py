"""How the commands that look at a cluster print, and how they end.

Owns the exit codes and the three forms of output. Standard output has the answer and nothing else; complaints go to
standard error, one a line.
"""

import dataclasses
import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

NEGATIVE: Final = 1
UNUSABLE: Final = 2
NO_ANSWER: Final = 3
INCOMPLETE: Final = 4

U16_MAX: Final = 65_535
_PIPE_COLUMNS: Final = 200


class Output(StrEnum):
    """How an answer is printed."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]


def exits(negative: str = "", incomplete: str = "", cluster: bool = True) -> str:
    """The paragraph on exit codes of a command's help."""
    told = ["0 done"]
    told += [f"{NEGATIVE} {negative}"] if negative else []
    told += [f"{UNUSABLE} arguments or input cannot be used"]
    told += [f"{NO_ANSWER} the cluster does not answer, refuses, or has no such object"] if cluster else []
    told += [f"{INCOMPLETE} {incomplete}"] if incomplete else []
    return f"Exit status: {'; '.join(told)}."


def show(answer: object, output: Output, table: "Callable[[], RenderableType]") -> None:
    """Print a dataclass: its fields in camelCase as JSON or YAML, or what `table` draws."""
    if output is Output.JSON:
        typer.echo(json.dumps(plain(answer), indent=2, ensure_ascii=False))
    elif output is Output.YAML:
        import yaml

        typer.echo(yaml.safe_dump(plain(answer), sort_keys=False, allow_unicode=True), nl=False)
    else:
        console().print(table())


def console() -> "Console":
    """Standard output; in a pipe without colours and wide enough that nothing is cut."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_PIPE_COLUMNS, no_color=True, highlight=False)


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever an answer is made of
    """Dataclasses as JSON objects with names in camelCase."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {camel(field.name): plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, StrEnum) else value


def camel(name: str) -> str:
    """`latency_p50_us` -> `latencyP50Us`."""
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def share(u16: int) -> str:
    """A u16 share in percent."""
    return f"{u16 / U16_MAX * 100:.2f} %"


def refuse(message: str, code: int = UNUSABLE) -> NoReturn:
    """End with one complaint."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
