"""Objects of the caches as models. One that does not parse is passed over: its own condition says what is wrong."""

from collections.abc import Iterable
from typing import TypeVar

from assay.api import InvalidObject, Resource
from assay.kube.resources import Object

Kind = TypeVar("Kind", bound=Resource)


def readable_one(model: type[Kind], obj: Object | None) -> Kind | None:
    """The object, if there is one and it parses."""
    try:
        return model.parse(obj) if obj is not None else None
    except InvalidObject:
        return None


def readable(model: type[Kind], objects: Iterable[Object | None]) -> list[Kind]:
    """The objects that are there and parse, in their order."""
    found = (readable_one(model, obj) for obj in objects)
    return [one for one in found if one is not None]
