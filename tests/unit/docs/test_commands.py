"""Commands in the documents exist: targets of make, sub-commands of assay and the cluster, values of the chart."""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
import yaml

from assay.cli import app
from cluster import COMMAND, ROOT
from documents import code_spans, shell_lines

NAME = re.compile(r"[a-z][a-z0-9-]*")


def commands(*starting_with: str) -> list[Any]:
    """Commands in shell blocks and inline code that begin with these words, what they are piped into left out."""
    found = {
        (where, command.partition(" | ")[0])
        for where, text in (*shell_lines(), *code_spans())
        for command in re.split(r" && |; ", text)
        if command.split()[: len(starting_with)] == list(starting_with)
    }
    return [pytest.param(command, id=f"{where} {command}") for where, command in sorted(found)]


@pytest.mark.parametrize("command", commands("make"))
def test_a_make_target_that_is_named_exists(command: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    words = shlex.split(command)[1:]
    assert words
    assert {word for word in words if NAME.fullmatch(word)} <= targets


@pytest.mark.parametrize("command", commands("assay"))
def test_a_subcommand_of_assay_that_is_named_exists(command: str) -> None:
    found: Any = typer.main.get_command(app)
    for word in shlex.split(command)[1:]:
        below = getattr(found, "commands", {})
        if below and not word.startswith("-"):
            assert word in below, f"assay has no {word!r}"
            found = below[word]
        elif word.startswith("-") and len(word) > 1:
            known = {option for parameter in found.params for option in parameter.opts} | {"--help"}
            assert word.partition("=")[0] in known, f"{found.name} has no option {word}"


@pytest.mark.parametrize("command", commands("hack/cluster/cluster"))
def test_a_subcommand_of_the_cluster_that_is_named_exists(command: str) -> None:
    words = shlex.split(command)[1:]
    if not words or not NAME.fullmatch(words[0]):
        return
    assert words[0] in cluster_subcommands()


def cluster_subcommands() -> frozenset[str]:
    shown = subprocess.run([sys.executable, str(COMMAND), "--help"], capture_output=True, text=True, check=True).stdout
    return frozenset(re.findall(r"^    ([a-z-]+)\s", shown, flags=re.MULTILINE))


@pytest.mark.parametrize("command", commands("helm"))
def test_a_value_of_the_chart_that_is_set_exists(command: str) -> None:
    values = yaml.safe_load((ROOT / "charts" / "assay" / "values.yaml").read_text())
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", action="append", default=[])
    arguments, _ = parser.parse_known_args(shlex.split(command)[1:])
    for key in (setting.partition("=")[0] for entry in arguments.set for setting in entry.split(",")):
        assert exists(values, key), f"the chart has no value {key}"


def exists(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def named_paths() -> Iterator[Any]:
    """Inline code and commands that look like a file of this repository."""
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for where, text in code_spans():
        word = text.removesuffix("/")
        if re.fullmatch(r"[\w./-]+", word) and "/" in word and word.split("/")[0] in tops:
            yield pytest.param(word, id=f"{where} {word}")


@pytest.mark.parametrize("path", list(named_paths()))
def test_a_file_that_is_named_exists(path: str) -> None:
    assert (ROOT / path).exists()


def test_what_is_named_is_found_at_all() -> None:
    assert len(commands("make")) >= 10
    assert len(commands("assay")) >= 5
    assert len(commands("hack/cluster/cluster")) >= 3
    assert len(commands("helm")) >= 3
