"""The converter: what it makes of models, and what it refuses, with path and remedy."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from assay.api.crd import NotStructuralError, schema_of
from assay.api.schema import ATOMIC, OPAQUE, SET, GoDuration, ListMap, Model, Opaque, PodTemplate, Rule, cel


def field_schema(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """Return the schema of a field `it` with this annotation."""
    namespace = {"__annotations__": {"it": annotation}, "__module__": __name__}
    if default is not ...:
        namespace["it"] = default
    model = type(Model)("Sample", (Model,), namespace)
    return dict(schema_of(model)["properties"]["it"])


class Inner(Model):
    """An inner object."""

    name: Annotated[str, Field(max_length=10)] = "a"
    """What it is called."""


class Keyed(Model):
    """An item with a key."""

    uid: int


class Recursive(Model):
    """An object that contains itself."""

    child: "Recursive | None" = None


class Forbidding(Model):
    """An object that would refuse unknown fields."""

    model_config = ConfigDict(extra="forbid")

    count: int = 1


class Allowing(Model):
    """An object that would keep unknown fields."""

    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        pytest.param(int, ..., {"type": "integer", "format": "int64"}, id="an integer has 64 bits"),
        pytest.param(
            int | None, None, {"type": "integer", "format": "int64"}, id="an optional field is simply not required"
        ),
        pytest.param(bool, False, {"type": "boolean", "default": False}, id="false is a default"),
        pytest.param(
            Annotated[str, Field(max_length=3)], "", {"type": "string", "maxLength": 3}, id="an empty default is none"
        ),
        pytest.param(
            Annotated[int, Field(gt=0, lt=9)],
            ...,
            {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": True,
            },
            id="exclusive bounds are flags",
        ),
        pytest.param(Literal["x"], ..., {"type": "string", "enum": ["x"]}, id="one literal is an enumeration"),
        pytest.param(Literal["x", "y"], "y", {"type": "string", "enum": ["x", "y"], "default": "y"}, id="literals"),
        pytest.param(Literal[3], ..., {"type": "integer", "format": "int64", "enum": [3]}, id="a number as literal"),
        pytest.param(
            Annotated[tuple[int, ...], Field(max_length=2), ATOMIC],
            (),
            {
                "type": "array",
                "maxItems": 2,
                "x-kubernetes-list-type": "atomic",
                "items": {"type": "integer", "format": "int64"},
            },
            id="a list as one value",
        ),
        pytest.param(
            Annotated[tuple[Annotated[str, Field(max_length=5)], ...], Field(max_length=2), SET],
            ...,
            {
                "type": "array",
                "maxItems": 2,
                "x-kubernetes-list-type": "set",
                "items": {"type": "string", "maxLength": 5},
            },
            id="a set of strings",
        ),
        pytest.param(
            Annotated[dict[str, Annotated[str, Field(max_length=5)]], Field(max_length=2)],
            ...,
            {"type": "object", "maxProperties": 2, "additionalProperties": {"type": "string", "maxLength": 5}},
            id="a map",
        ),
        pytest.param(
            Opaque, ..., {"type": "object", "x-kubernetes-preserve-unknown-fields": True}, id="an opaque object is kept"
        ),
        pytest.param(
            Annotated[dict[str, Any] | None, OPAQUE],
            None,
            {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            id="an optional opaque object is kept",
        ),
        pytest.param(
            Annotated[str, Field(max_length=5), Rule("self != 'b'", "must not be b; write a")],
            ...,
            {
                "type": "string",
                "maxLength": 5,
                "x-kubernetes-validations": [{"rule": "self != 'b'", "message": "must not be b; write a"}],
            },
            id="a rule on a value",
        ),
    ],
)
def test_convert(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    assert field_schema(annotation, default) == expected


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        pytest.param(Any, "it: any type would be accepted; give it one type, or mark it Opaque", id="any"),
        pytest.param(
            dict[str, Any], "it: any fields would be accepted; name the fields, or mark it Opaque", id="any fields"
        ),
        pytest.param(
            Allowing, "it: any fields would be accepted; name the fields, or mark it Opaque", id="extra fields"
        ),
        pytest.param(
            int | str, "it: a union of types is not structural; use optional sibling fields and a rule", id="union"
        ),
        pytest.param(
            Inner | Keyed, "it: a union of types is not structural; use optional sibling fields", id="model union"
        ),
        pytest.param(tuple[int, str], "it: prefixItems is not structural; use an object with named fields", id="tuple"),
        pytest.param(
            timedelta, "it: format duration means ISO 8601 here; use a string with GoDuration", id="timedelta"
        ),
        pytest.param(Decimal, "it: a union of types is not structural", id="decimal"),
        pytest.param(
            float, "it: a fraction does not survive every client; use a whole number of a named unit", id="float"
        ),
        pytest.param(set[int], "it: uniqueItems is not structural; mark a tuple[T, ...] with SET", id="set"),
        pytest.param(
            Recursive, "it.child: Recursive contains itself; end the recursion with an Opaque field", id="recursion"
        ),
        pytest.param(str, "it: string has no upper bound; set max_length on it", id="unbounded string"),
        pytest.param(tuple[int, ...], "it: array has no upper bound; set max_length on it", id="unbounded list"),
        pytest.param(dict[str, int], "it: object has no upper bound; set max_length on it", id="unbounded map"),
        pytest.param(
            Annotated[tuple[str, ...], Field(max_length=2)],
            "it[]: string has no upper bound; set max_length on it",
            id="unbounded string in a list",
        ),
        pytest.param(None, "it: null is no type; make the field optional", id="null"),
        pytest.param(Literal["a", 1], "it: any type would be accepted", id="literals of two types"),
    ],
)
def test_refuse(annotation: Any, message: str) -> None:
    with pytest.raises(NotStructuralError) as refused:
        field_schema(annotation)
    assert str(refused.value).startswith(message)


def test_an_inner_model_is_inlined_and_its_field_says_what_it_is() -> None:
    class Outer(Model):
        """An outer object."""

        inner: Inner = Inner(name="b")
        """The inner object of the outer."""

    assert schema_of(Outer) == {
        "description": "An outer object.",
        "type": "object",
        "properties": {
            "inner": {
                "description": "The inner object of the outer.",
                "type": "object",
                "default": {"name": "b"},
                "properties": {
                    "name": {"description": "What it is called.", "type": "string", "default": "a", "maxLength": 10}
                },
            }
        },
    }


def test_a_status_has_no_defaults() -> None:
    schema = schema_of(Inner, defaults=False)
    assert "default" not in schema["properties"]["name"]


def test_refusing_unknown_fields_is_left_to_pruning() -> None:
    assert "additionalProperties" not in field_schema(Forbidding)


def test_names_are_camel_case() -> None:
    class Sample(Model):
        """A sample."""

        latency_p50_us: int

    schema = schema_of(Sample)
    assert schema["required"] == ["latencyP50Us"]


def test_rules_of_class_field_and_type_are_all_kept() -> None:
    @cel("self.low <= self.high", "swap them", lambda it: it.low <= it.high, field=".low")
    @cel("self.low > 0", "raise it", lambda it: it.low > 0)
    class Range(Model):
        """A range."""

        low: int
        high: int

    expected = [
        {"rule": "self.low <= self.high", "message": "swap them", "fieldPath": ".low"},
        {"rule": "self.low > 0", "message": "raise it"},
        {"rule": "self.high < 9", "message": "lower it"},
    ]
    schema = field_schema(Annotated[Range, Rule("self.high < 9", "lower it", lambda it: it.high < 9)])
    assert schema["x-kubernetes-validations"] == expected


def test_a_list_map_names_its_key() -> None:
    schema = field_schema(Annotated[tuple[Keyed, ...], Field(max_length=2), ListMap("uid")])
    assert schema["x-kubernetes-list-type"] == "map"
    assert schema["x-kubernetes-list-map-keys"] == ["uid"]


def test_a_duration_is_bounded_in_length_and_by_rule() -> None:
    schema = field_schema(Annotated[str, GoDuration("1s", "1m")])
    assert schema["maxLength"] == 16
    (rule,) = schema["x-kubernetes-validations"]
    assert "duration(self) >= duration('1s') && duration(self) <= duration('1m')" in rule["rule"]


def test_a_pod_template_has_only_metadata_and_spec() -> None:
    schema = field_schema(PodTemplate | None, None)
    assert sorted(schema["properties"]) == ["metadata", "spec"]
    assert "x-kubernetes-preserve-unknown-fields" not in schema
