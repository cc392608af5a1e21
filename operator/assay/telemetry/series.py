"""Series that live and die with an object.

Owns which series of which gauges belong to an object, so that none outlives it: a miner that left must not be drawn
for ever. It must never be asked to hold a series by two owners. Invariant: after `replace` exactly the series given
exist for the owner, after `forget` none.
"""

from collections.abc import Hashable, Mapping
from typing import TypeAlias

from prometheus_client import Gauge

Series: TypeAlias = tuple[Gauge, tuple[str, ...]]
"""A gauge, and the values of its labels in the order in which it declares them."""


class ObjectSeries:
    """The gauges' series by the object that they are about."""

    def __init__(self) -> None:
        self._held: dict[Hashable, frozenset[Series]] = {}

    def __contains__(self, owner: Hashable) -> bool:
        return owner in self._held

    def replace(self, owner: Hashable, wanted: Mapping[Series, float]) -> None:
        """Give the owner these series with these values, and drop those it had besides."""
        for (gauge, labels), value in wanted.items():
            gauge.labels(*labels).set(value)
        for gauge, labels in self._held.get(owner, frozenset()) - wanted.keys():
            gauge.remove(*labels)
        self._held[owner] = frozenset(wanted)

    def forget(self, owner: Hashable) -> None:
        """Drop every series of the owner; nothing happens if it has none."""
        for gauge, labels in self._held.pop(owner, frozenset()):
            gauge.remove(*labels)

    def forget_all(self) -> None:
        """Drop every series of every owner."""
        for owner in list(self._held):
            self.forget(owner)
