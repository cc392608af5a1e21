"""The vocabulary in which the API's models are written: base model, markers for Kubernetes schemas, rules.

A rule exists once and is enforced twice: its CEL half is rendered into the CRD for the API server, its Python half
runs when an object is parsed, both with the same message. The invariant, held by a differential test against the real
API server: what one side accepts, the other accepts. Nothing here may know a particular kind.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from assay.api.durations import DURATION_PATTERN, MAX_DURATION_LENGTH, InvalidDuration, parse_duration_ms

RULES_KEY: Final = "x-kubernetes-validations"
BROKEN_RULES: Final = "assay_rules"
"""Type of the pydantic error that carries broken rules in its context, as (field, message) pairs under `broken`."""


@dataclass(frozen=True, eq=False)
class Rule:
    """One validation rule on a value: a CEL expression, the message for the user, and the same predicate in Python.

    `cel` sees the value as `self`. `field` is a CEL field path below the value (`.low`), where the message is shown.
    `check` gets the Python value. A transition rule (it names `oldSelf`) has no check: an object alone cannot break it.
    """

    cel: str
    message: str
    check: Callable[[Any], bool] | None = None
    field: str = ""

    def to_schema(self) -> dict[str, str]:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": self.message}
        return entry | {"fieldPath": self.field} if self.field else entry

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        """Run the Python half after the value's own validation."""
        return core_schema.no_info_after_validator_function(self._require, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the CEL half to the value's schema."""
        return with_rules(handler(schema), (self,))

    def _require(self, value: Any) -> Any:  # noqa: ANN401
        raise_broken(self._broken_by(value))
        return value

    def _broken_by(self, value: Any) -> list[tuple[str, str]]:  # noqa: ANN401
        return [] if self.check is None or self.check(value) else [(self.field, self.message)]


def with_rules(schema: JsonSchemaValue, rules: tuple[Rule, ...]) -> JsonSchemaValue:
    """Return the schema with the rules appended to those it has."""
    if not rules:
        return schema
    return {**schema, RULES_KEY: [*schema.get(RULES_KEY, []), *(rule.to_schema() for rule in rules)]}


def raise_broken(broken: list[tuple[str, str]]) -> None:
    """Raise one pydantic error for all broken (field, message) pairs; do nothing if there is none."""
    if broken:
        text = "; ".join(message for _, message in broken)
        raise PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "broken": broken})


class Model(BaseModel):
    """Base of every part of the API: frozen, camelCase on the wire, strict types, unknown fields ignored.

    Strict, because the API server is: `"1"` is no integer there either. Unknown fields are ignored, because the API
    server has pruned those of its own schema, and a newer one may have added some.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        use_attribute_docstrings=True,
    )

    RULES: ClassVar[tuple[Rule, ...]] = ()
    """Rules on the object as a whole; added by the `cel` decorator."""

    @model_validator(mode="after")
    def _keep_rules(self) -> Self:
        raise_broken([pair for rule in type(self).RULES for pair in rule._broken_by(self)])  # noqa: SLF001
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the class's rules to its schema."""
        rendered = handler.resolve_ref_schema(handler(schema))
        if cls.RULES and RULES_KEY not in rendered:
            rendered[RULES_KEY] = [rule.to_schema() for rule in cls.RULES]
        return rendered


ModelType = TypeVar("ModelType", bound=Model)


def cel(
    expression: str, message: str, check: Callable[[Any], bool] | None = None, field: str = ""
) -> Callable[[type[ModelType]], type[ModelType]]:
    """Class decorator: add a rule on the whole object. Rules are kept in reading order, top decorator first."""

    def add(model: type[ModelType]) -> type[ModelType]:
        model.RULES = (Rule(expression, message, check, field), *model.RULES)
        return model

    return add


@dataclass(frozen=True, eq=False)
class Marker:
    """Keywords to set in the value's schema, and nothing else; a keyword set to None is taken out."""

    keywords: tuple[tuple[str, Any], ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the keywords."""
        merged = {**handler(schema), **dict(self.keywords)}
        return {keyword: value for keyword, value in merged.items() if value is not None}


ATOMIC: Final = Marker((("x-kubernetes-list-type", "atomic"),))
"""Mark a list as one value with one owner."""

SET: Final = Marker((("x-kubernetes-list-type", "set"),))
"""Mark a list of scalars as a set: items are unique, and appliers own single items."""

OPAQUE: Final = Marker(
    (("type", "object"), ("additionalProperties", None), ("x-kubernetes-preserve-unknown-fields", True))
)
"""Mark a free-form object: the API server keeps whatever is in it. Without the mark the converter refuses `dict[str,
Any]`."""

Opaque: TypeAlias = Annotated[dict[str, Any], OPAQUE]


class Matches(Rule):
    """The whole string matches a regular expression that RE2 and Python read alike (ASCII, no look-around, no
    quotes)."""

    def __init__(self, pattern: str, message: str) -> None:
        compiled = re.compile(pattern, re.ASCII)
        super().__init__(f"self.matches(r'^(?:{pattern})$')", message, lambda text: bool(compiled.fullmatch(text)))


class GoDuration(Rule):
    """The string is a Go duration between two bounds, both included."""

    def __init__(self, at_least: str, at_most: str) -> None:
        low_ms, high_ms = parse_duration_ms(at_least), parse_duration_ms(at_most)

        def check(text: str) -> bool:
            try:
                return low_ms <= parse_duration_ms(text) <= high_ms
            except InvalidDuration:
                return False

        super().__init__(
            f"self.matches(r'^(?:{DURATION_PATTERN})$') && duration(self) >= duration('{at_least}')"
            f" && duration(self) <= duration('{at_most}')",
            f"must be a duration from {at_least} to {at_most}; write numbers with units, such as 90s, 5m, 1h30m or"
            " 250ms",
            check,
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule, and the length bound that the CEL cost estimate needs."""
        return {**super().__get_pydantic_json_schema__(schema, handler), "maxLength": MAX_DURATION_LENGTH}


class ListMap(Rule):
    """The list is a map keyed by one field of its items: keys are unique, and appliers own items, not the list."""

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__("", f"{key} must be unique among the items; merge those that share one", self._is_map)

    def _is_map(self, items: Sequence[Model]) -> bool:
        return len({getattr(item, self.key) for item in items}) == len(items)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Set the list type, which makes the API server refuse a key that is there twice."""
        return {**handler(schema), "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}


class DateTime(Rule):
    """The string is an instant as RFC 3339 has it, from 1970 on.

    The API server checks the format itself, but takes an empty list for it (1.37). The rule refuses that: CEL cannot
    read a list as an instant.
    """

    def __init__(self) -> None:
        super().__init__(
            "self >= timestamp('1970-01-01T00:00:00Z')",
            "must be an instant in RFC 3339 from 1970 on, such as 2026-11-24T20:15:00Z",
            _is_instant,
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Add the rule, and the format that makes the value an instant for it."""
        return {**super().__get_pydantic_json_schema__(schema, handler), "format": "date-time"}


_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_FIRST_INSTANT = datetime(1970, 1, 1, tzinfo=UTC)


def _is_instant(text: str) -> bool:
    if not _INSTANT.fullmatch(text):
        return False
    try:
        return datetime.fromisoformat(text) >= _FIRST_INSTANT
    except ValueError:
        return False


class PartialPodTemplate(Rule):
    """The object is a partial PodTemplateSpec: free-form below `metadata` and `spec`, and nothing beside them.

    The two are named in the schema, so that the API server reports a `containers` that was put beside them.
    """

    PARTS: ClassVar[Mapping[str, str]] = {
        "metadata": "Labels and annotations to add to the pods.",
        "spec": "A partial pod spec, merged strategically over the one that the operator builds.",
    }

    def __init__(self) -> None:
        super().__init__(
            "",
            "metadata and spec of a podTemplate must be objects; write them as in a Pod",
            lambda template: all(isinstance(template.get(part, {}), dict) for part in self.PARTS),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Name the two parts."""
        part = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        properties = {name: {**part, "description": text} for name, text in self.PARTS.items()}
        inherited = {keyword: value for keyword, value in handler(schema).items() if keyword != "additionalProperties"}
        return {**inherited, "type": "object", "properties": properties}


PodTemplate: TypeAlias = Annotated[dict[str, Any], PartialPodTemplate()]


U16: TypeAlias = Annotated[int, Field(ge=0, le=65_535)]
"""A share: n means n/65535."""

Units: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000_000_000_000)]
"""A whole number of emission or stake units; sums of one Subnet stay below 2^63."""

Epoch: TypeAlias = Annotated[int, Field(ge=0, le=99_999_999)]
"""Number of an epoch. Eight digits, so that names which carry it stay below 63 characters; 31 years of 10 s epochs."""

Uid: TypeAlias = U16
"""Number of a miner or validator in its Subnet."""

Timestamp: TypeAlias = Annotated[str, Field(max_length=35), DateTime()]
"""An instant, RFC 3339, written in UTC."""
