"""The documents of the repository, and what stands in their code blocks and links.

Owns the reading of Markdown: fenced blocks by language, inline code, links and headings. It does not know what they
mean.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cluster import ROOT

PAGES = (
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "hack").glob("*/README.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
)
SHELL = frozenset({"sh", "console", "bash"})

_FENCE = re.compile(r"^```(?P<language>[a-z]*)\n(?P<text>.*?)^```", flags=re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: `where` names page and line."""

    where: str
    language: str
    text: str


def name_of(page: Path) -> str:
    """A page's path in the repository."""
    return str(page.relative_to(ROOT))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return tuple(
        Block(f"{name_of(page)}:{text.count(chr(10), 0, match.start()) + 1}", match["language"], match["text"])
        for match in _FENCE.finditer(text)
    )


def manifests() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every document of every YAML block, with where it stands."""
    for page in PAGES:
        for block in blocks(page):
            if block.language == "yaml":
                for document in yaml.safe_load_all(block.text):
                    yield block.where, document


def our_manifests() -> list[tuple[str, dict[str, Any]]]:
    """Those of our kinds, each with an id: where it stands, kind and name."""
    return [
        (f"{where} {document['kind']} {document['metadata']['name']}", document)
        for where, document in manifests()
        if document.get("apiVersion", "").startswith("assay.dev/")
    ]


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every command of every shell block, continuation lines joined, comments and prompts taken off."""
    for page in PAGES:
        for block in blocks(page):
            if block.language in SHELL:
                for line in block.text.replace("\\\n", " ").splitlines():
                    command = re.sub(r"(^|\s)#( .*|$)", "", line.removeprefix("# ")).strip()
                    if command:
                        yield block.where, command


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def code_spans() -> Iterator[tuple[str, str]]:
    """All inline code, with its page."""
    for page in PAGES:
        for match in _CODE.finditer(prose(page)):
            yield name_of(page), match[1]


def links(page: Path) -> list[str]:
    """The targets of all links on a page."""
    return _LINK.findall(_CODE.sub("", prose(page)))


def anchors(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)
