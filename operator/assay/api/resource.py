"""The root of every kind: how an object from the API server becomes a model, and a model an object.

Owns parsing and dumping. `parse` never guesses and never repairs: an object that breaks a type, a limit or a rule is
refused as a whole, with every problem named, although the API server should have refused it before.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from assay.api.errors import InvalidObject, describe
from assay.api.meta import API_VERSION, ObjectMeta
from assay.api.schema import Model, ModelType, cel


@dataclass(frozen=True)
class Column:
    """A printer column of `kubectl get`; `priority` 1 shows it with `-o wide` only."""

    name: str
    json_path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True)
class Scale:
    """Where `kubectl scale` and autoscalers find their three values."""

    spec_replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    label_selector: str = ".status.selector"


@dataclass(frozen=True)
class Definition:
    """How a kind appears in the API server, apart from its schema."""

    kind: str
    plural: str
    short_name: str
    columns: tuple[Column, ...]
    scale: Scale | None = None


class Resource(Model):
    """Base of the root models. Each has `metadata`, `spec` and `status`; see `parse` for what is checked."""

    DEFINITION: ClassVar[Definition]

    metadata: ObjectMeta

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """Read an object as the API server sent it. Unknown fields are ignored, types are strict.

        Raises InvalidObject, with one sentence per problem that begins with `Kind namespace/name: path.of.field:`.
        """
        subject = subject_of(cls.DEFINITION.kind, obj)
        found = {key: obj.get(key) for key in ("apiVersion", "kind")}
        expected = {"apiVersion": API_VERSION, "kind": cls.DEFINITION.kind}
        wrong = tuple(
            f"{key}: {found[key]!r} is not {expected[key]!r}; this is another kind of object"
            for key in found
            if found[key] != expected[key]
        )
        if wrong:
            raise InvalidObject(subject, wrong)
        try:
            return cls.model_validate({key: obj[key] for key in ("metadata", "spec", "status") if key in obj})
        except ValidationError as error:
            raise describe(subject, error) from None

    @property
    def subject(self) -> str:
        """How messages name this object: `Subnet demo/embeddings`."""
        return f"{self.DEFINITION.kind} {self.metadata.namespaced_name}"

    def to_wire(self) -> dict[str, Any]:
        """Return the object as the API server takes it, with apiVersion and kind, without absent fields."""
        metadata = self.metadata.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        return {"apiVersion": API_VERSION, "kind": self.DEFINITION.kind, **to_wire(self), "metadata": metadata}


def name_rule(longest: int, why: str) -> Callable[[type[ModelType]], type[ModelType]]:
    """Class decorator: names of this kind begin with a letter, are DNS labels and have at most `longest` characters."""
    shape = re.compile("[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
    return cel(
        f"self.metadata.name.size() <= {longest} && self.metadata.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$')",
        f"must have at most {longest} lower case letters, digits and '-', beginning with a letter: {why};"
        " choose another name",
        lambda it: len(it.metadata.name) <= longest and bool(shape.fullmatch(it.metadata.name)),
        field=".metadata.name",
    )


def subject_of(kind: str, obj: Mapping[str, Any]) -> str:
    """Name an object that may be malformed: `Kind namespace/name` as far as they can be read."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, Mapping):
        return f"{kind} without metadata"
    namespace, name = metadata.get("namespace"), metadata.get("name") or metadata.get("generateName") or "without name"
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def to_wire(model: BaseModel) -> dict[str, Any]:
    """Return a model's camelCase JSON object without absent fields. Zero, false and empty lists are kept."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
