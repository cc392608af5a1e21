"""What is said when an object is refused: subject, field, expectation, remedy; one line per problem.

Owns the translation of pydantic's errors into the words that the rest of assay and its users see. Nothing of
pydantic's own wording or types leaves this package.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydantic import ValidationError

from assay.api.schema import BROKEN_RULES


class InvalidObject(ValueError):
    """An object that cannot be used as it is. `problems` has one sentence per problem, each naming subject and
    field."""

    def __init__(self, subject: str, problems: tuple[str, ...]) -> None:
        self.subject = subject
        self.problems = tuple(f"{subject}: {problem}" for problem in problems)
        super().__init__("\n".join(self.problems))


def describe(subject: str, error: ValidationError, root: str = "") -> InvalidObject:
    """Turn a pydantic error into InvalidObject; `root` is the path of the validated value in its object, such as
    `spec`."""
    problems: list[str] = []
    for detail in error.errors(include_url=False):
        path = _path((root, *detail["loc"]) if root else detail["loc"])
        if detail["type"] == BROKEN_RULES:
            problems += [_line(path + field, message) for field, message in detail["ctx"]["broken"]]
        else:
            problems.append(
                _line(path, _explain(detail["type"], detail.get("input"), detail.get("ctx", {}), detail["msg"]))
            )
    return InvalidObject(subject, tuple(problems))


def _line(path: str, message: str) -> str:
    path = path.removeprefix(".")
    return f"{path}: {message}" if path else message


def _path(location: tuple[str | int, ...]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]"]
    return "".join(parts).removeprefix(".")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_KINDS: Final[Mapping[type, str]] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a decimal number",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


def _wrong_type(expected: str) -> Callable[[Any, Mapping[str, Any]], str]:
    def explain(value: Any, _: Mapping[str, Any]) -> str:  # noqa: ANN401
        return f"{_shown(value)} is {_KINDS.get(type(value), 'of another type')}; write {expected}"

    return explain


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


_EXPLANATIONS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], str]]] = {
    "missing": lambda _, __: "is required; add it",
    "int_type": _wrong_type("a whole number without quotes"),
    "int_from_float": _wrong_type("a whole number"),
    "bool_type": _wrong_type("true or false without quotes"),
    "string_type": _wrong_type("a string, in quotes if it looks like a number"),
    "dict_type": _wrong_type("an object"),
    "model_type": _wrong_type("an object"),
    "model_attributes_type": _wrong_type("an object"),
    "tuple_type": _wrong_type("a list"),
    "greater_than_equal": lambda value, ctx: f"{value} < {ctx['ge']}; write at least {ctx['ge']}",
    "less_than_equal": lambda value, ctx: f"{value} > {ctx['le']}; write at most {ctx['le']}",
    "literal_error": lambda value, ctx: f"{_shown(value)} is unknown; write {ctx['expected']}",
    "string_too_long": lambda value, ctx: f"has {len(value)} characters; shorten it to {ctx['max_length']}",
    "string_too_short": lambda _, ctx: f"is too short; write at least {_counted(ctx['min_length'], 'character')}",
    "too_long": lambda _, ctx: f"has {ctx['actual_length']} items; keep at most {ctx['max_length']}",
}


def _explain(kind: str, value: Any, context: Mapping[str, Any], fallback: str) -> str:  # noqa: ANN401
    explain = _EXPLANATIONS.get(kind)
    return explain(value, context) if explain else f"{_shown(value)}: {fallback}"
