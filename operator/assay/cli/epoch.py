"""`assay epoch`: run, explain and vary one epoch of Yuma Consensus offline.

Exit status: 0 done, 2 the input is unusable. Then standard error has one line that names the file, the key and the
index, and standard output has nothing: results are written only once all of them exist.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer

if TYPE_CHECKING:
    from assay.consensus import EpochResult, EpochState

app = typer.Typer(no_args_is_help=True, help="Yuma Consensus offline: one epoch from a state in a file.")

_IN_MEMORY_BYTES = 64 << 20


class Output(StrEnum):
    """How a result is printed."""

    JSON = "json"
    TABLE = "table"


StateFile = Annotated[str, typer.Argument(metavar="STATE.json", help="One state as JSON; - for standard input.")]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the result.")]
ChainLengths = Annotated[
    bool,
    typer.Option(
        "--chain-lengths",
        help="Read validator_permits and last_update of a wrong length as the chain does, instead of refusing them.",
    ),
]


@app.command()
def run(
    state: Annotated[
        str,
        typer.Argument(
            metavar="STATE.json", help="One state as JSON; - for any number, one a line, on standard input."
        ),
    ],
    output: OutputOption = Output.JSON,
    chain_lengths: ChainLengths = False,
) -> None:
    """Run one epoch. The state has the keys of the reference vectors, the result those of their `derived` object."""
    from assay.consensus import run_epoch

    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, mode="w+", encoding="utf-8") as results:
        for place, text in _texts(state):
            result = run_epoch(_state(place, _parsed(place, text), chain_lengths))
            results.write(_table(result) if output is Output.TABLE else json.dumps(result.to_json()) + "\n")
        results.seek(0)
        shutil.copyfileobj(results, sys.stdout)


@app.command()
def explain(
    state: StateFile,
    uid: Annotated[int, typer.Option(help="Whose payment to explain.")],
    chain_lengths: ChainLengths = False,
) -> None:
    """Tell why a uid got what it got, in words and numbers."""
    from assay.consensus.explanation import explain as explain_uid

    parsed = _state(state, _parsed(state, _only_text(state)), chain_lengths)
    try:
        explanation = explain_uid(parsed, uid)
    except ValueError as error:
        _refuse(f"--uid: {error}")
    typer.echo("\n".join(explanation.sentences))


@app.command("what-if")
def what_if(
    state: StateFile,
    changes: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="kappa_u16=40000, stake.3=500, or weights_u16.0.7=65535: validator 0's weight for uid 7 (null: none).",
        ),
    ],
    output: OutputOption = Output.TABLE,
    chain_lengths: ChainLengths = False,
) -> None:
    """Run the epoch with and without changes to the state, and show the difference."""
    from assay.consensus import run_epoch

    before_json = _parsed(state, _only_text(state))
    before = run_epoch(_state(state, before_json, chain_lengths)).to_json()
    after_json = json.loads(json.dumps(before_json))
    for change in changes:
        _apply(after_json, change)
    after = run_epoch(_state("--set", after_json, chain_lengths)).to_json()
    difference = _difference(before, after)
    typer.echo(json.dumps(difference) if output is Output.JSON else _difference_table(difference), nl=True)


# ---- Reading -------------------------------------------------------------------------------------------------------


def _texts(source: str) -> Iterator[tuple[str, str]]:
    """Each state's text, and what to call it in an error."""
    if source != "-":
        yield source, _only_text(source)
        return
    for number, line in enumerate(_lines(sys.stdin), start=1):
        if line.strip():
            yield f"line {number}", line


def _lines(stream: TextIO) -> Iterator[str]:
    try:
        yield from stream
    except UnicodeDecodeError as error:
        _refuse(f"standard input: not UTF-8: {error.reason} at byte {error.start}")


def _only_text(source: str) -> str:
    try:
        return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except OSError as error:
        _refuse(f"{source}: {error.strerror}; name a file with one state, or - for standard input")
    except UnicodeDecodeError as error:
        _refuse(f"{source}: not UTF-8: {error.reason} at byte {error.start}")


def _parsed(place: str, text: str) -> Any:  # noqa: ANN401 - whatever the JSON holds; `EpochState` checks it
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        _refuse(f"{place}: not JSON: {error.msg} at line {error.lineno} column {error.colno}")
    except (ValueError, RecursionError) as error:
        _refuse(f"{place}: {error}")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    from assay.consensus import InvalidState

    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InvalidState(twice, "is there twice; an object names each key once")
    return found


def _state(place: str, parsed: object, chain_lengths: bool) -> "EpochState":
    from assay.consensus import EpochState, InvalidState

    try:
        return EpochState.from_json(parsed, chain_lengths=chain_lengths)
    except InvalidState as error:
        _refuse(f"{place}: {error}")


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)


# ---- Changes -------------------------------------------------------------------------------------------------------


def _apply(state: dict[str, Any], change: str) -> None:
    """Set one value of the state in place: a key, an entry of a vector, or an entry of a sparse row by its uid."""
    path, equals, text = change.partition("=")
    if not equals:
        _refuse(f"--set {change}: no =; write KEY=VALUE, for example stake.3=500")
    key, *places = path.split(".")
    if not all(place.isdecimal() and len(place) < 10 for place in places):
        _refuse(f"--set {change}: {path} is not a key followed by uids, like stake.3 or weights_u16.0.7")
    value = _parsed(f"--set {change}", text)
    index = [int(place) for place in places]
    if not index:
        state[key] = value
        return
    vector = state.get(key)
    if not isinstance(vector, list) or index[0] >= len(vector):
        _refuse(f"--set {change}: {key} has no entry {index[0]}; --set can change entries, not add uids")
    if len(index) == 1:
        vector[index[0]] = value
        return
    row = vector[index[0]]
    if len(index) > 2 or not isinstance(row, list) or any(not isinstance(entry, list) or not entry for entry in row):
        _refuse(f"--set {change}: {path} names no value; rows are {key}.UID.UID")
    _set_in_row(row, index[1], value)


def _set_in_row(row: list[list[Any]], uid: int, value: object) -> None:
    kept = [entry for entry in row if entry[0] != uid]
    position = next((k for k, entry in enumerate(row) if entry[0] == uid), None)
    if value is not None and position is None:
        kept = sorted([*kept, [uid, value]]) if kept == sorted(kept) else [*kept, [uid, value]]
    elif value is not None:
        kept.insert(position or 0, [uid, value])
    row[:] = kept


def _difference(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """key -> uid -> [before, after], where they differ."""
    return {
        key: changed
        for key in before
        if (changed := {str(uid): [old, new] for uid, (old, new) in _beside(before[key], after[key]) if old != new})
    }


def _beside(before: list[Any], after: list[Any]) -> Iterator[tuple[int, tuple[Any, Any]]]:
    longest = max(len(before), len(after))
    for uid in range(longest):
        yield uid, (before[uid] if uid < len(before) else None, after[uid] if uid < len(after) else None)


# ---- Printing ------------------------------------------------------------------------------------------------------


def _table(result: "EpochResult") -> str:
    heads = (
        "uid",
        "permit",
        "stake",
        "consensus",
        "incentive",
        "trust",
        "dividends",
        "as miner",
        "as validator",
        "total",
    )
    columns = (
        range(len(result.active)),
        ["yes" if permit else "" for permit in result.new_validator_permits.tolist()],
        result.stake_weight_u16.tolist(),
        result.consensus_u16.tolist(),
        result.incentive_u16.tolist(),
        result.validator_trust_u16.tolist(),
        result.dividends_u16.tolist(),
        result.server_emission.tolist(),
        result.validator_emission.tolist(),
        result.combined_emission.tolist(),
    )
    return _aligned([heads, *zip(*columns, strict=True)])


def _difference_table(difference: dict[str, dict[str, list[Any]]]) -> str:
    shown = ("consensus_u16", "incentive_u16", "validator_trust_u16", "dividends_u16", "new_validator_permits")
    lines: list[tuple[object, ...]] = [("uid", "value", "before", "after", "change")]
    for key in (*shown, "server_emission", "validator_emission", "combined_emission"):
        for uid, (old, new) in difference.get(key, {}).items():
            numbers = type(old) is int and type(new) is int
            lines.append((int(uid), key, old, new, f"{new - old:+d}" if numbers else ""))
    if len(lines) > 1:
        return _aligned([lines[0], *sorted(lines[1:], key=lambda line: int(str(line[0])))]).rstrip("\n")
    return "Only digits below u16 and bonds differ; see -o json." if difference else "Nothing changes."


def _aligned(lines: list[tuple[object, ...]]) -> str:
    texts = [[str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return "".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) + "\n" for line in texts
    )
