"""Manifests judged offline, by the models that the CRDs are rendered from.

Owns the reading of YAML documents and the search for fields that do not exist, which the API server drops and the
models ignore: in a file that is about to be applied they are mistakes.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml

from assay.api import API_VERSION, GROUP, KINDS, InvalidObject, Resource, subject_of
from assay.api.crd import render

BY_KIND: Final[Mapping[str, type[Resource]]] = {kind.DEFINITION.kind: kind for kind in KINDS}
_OPAQUE: Final = "x-kubernetes-preserve-unknown-fields"


@dataclass(frozen=True)
class Judgement:
    """What one text holds: objects of assay that are sound, others that were not looked at, and all problems."""

    sound: int
    others: int
    problems: tuple[str, ...]


def judge_text(text: str) -> Judgement:
    """Judge every document of a YAML or JSON text. Lists are judged item by item."""
    sound, others, problems = 0, 0, []
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except (yaml.YAMLError, RecursionError) as error:
        return Judgement(0, 0, (_no_yaml(error),))
    for place, obj in _objects(documents):
        if not isinstance(obj, Mapping):
            problems.append(f"{place}: {type(obj).__name__} is no object; write apiVersion, kind, metadata and spec")
        elif not str(obj.get("apiVersion", "")).startswith(f"{GROUP}/"):
            if obj.get("apiVersion") and obj.get("kind"):
                others += 1
            else:
                problems.append(f"{place}: apiVersion and kind are required; add them")
        elif found := _problems(obj):
            problems += found
        else:
            sound += 1
    if not sound and not others and not problems:
        problems.append("no object in it; write at least one document")
    return Judgement(sound, others, tuple(problems))


def _objects(documents: Iterable[object]) -> Iterable[tuple[str, object]]:
    for number, document in enumerate(documents, start=1):
        if isinstance(document, Mapping) and document.get("kind") == "List" and document.get("apiVersion") == "v1":
            for index, item in enumerate(document.get("items") or ()):
                yield f"document {number} items[{index}]", item
        else:
            yield f"document {number}", document


def _problems(obj: Mapping[str, Any]) -> list[str]:
    kind = BY_KIND.get(str(obj.get("kind")))
    if kind is None or obj.get("apiVersion") != API_VERSION:
        there = ", ".join(BY_KIND)
        return [f"{obj.get('kind')} of {obj.get('apiVersion')}: no kind of assay; {API_VERSION} has {there}"]
    subject = subject_of(kind.DEFINITION.kind, obj)
    unknown = [f"{subject}: {problem}" for problem in _unknown(obj.get("spec"), _schema(kind), "spec")]
    try:
        kind.parse(obj)
    except InvalidObject as error:
        return [*error.problems, *unknown]
    return unknown


def _unknown(value: object, schema: Mapping[str, Any], path: str) -> Iterable[str]:
    """Fields that the schema does not have, wherever it lists them."""
    if schema.get(_OPAQUE):
        return
    if isinstance(value, Mapping) and "properties" in schema:
        known = schema["properties"]
        for name, inside in value.items():
            if name in known:
                yield from _unknown(inside, known[name], f"{path}.{name}")
            else:
                close = difflib.get_close_matches(str(name), known, n=1)
                remedy = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known))}"
                yield f"{path}.{name}: is unknown; {remedy}"
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _unknown(item, schema["items"], f"{path}[{index}]")


@cache
def _schema(kind: type[Resource]) -> Mapping[str, Any]:
    """Of the kind's spec, as the CRD has it."""
    crd = yaml.safe_load(render(kind))
    properties = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec: Mapping[str, Any] = properties["spec"]
    return spec


def _no_yaml(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1} column {mark.column + 1}: " if mark else ""
    return f"{where}not YAML: {getattr(error, 'problem', None) or 'nested too deeply'}"
