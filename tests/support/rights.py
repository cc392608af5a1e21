"""Rights as sets: what roles grant, and what an API server's audit log shows that a user used.

A right is (API group, resource[/subresource], verb). Names of objects and namespaces are left out: what is compared is
whether a verb on a resource is needed at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Right(NamedTuple):
    """One verb on one resource."""

    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{f'.{self.group}' if self.group else ''}"


def granted(rules: Iterable[Mapping[str, Any]]) -> set[Right]:
    """Every right that the rules of a Role or ClusterRole list. Wildcards stay as they are."""
    return {
        Right(group, resource, verb)
        for rule in rules
        for group in rule.get("apiGroups", [])
        for resource in rule.get("resources", [])
        for verb in rule["verbs"]
    }


def used(audit_log: Path, user: str) -> set[Right]:
    """Every right that `user` used, by a log of JSON lines. Requests for no resource (/healthz, /apis) are left out."""
    return {
        right
        for event in _events(audit_log, user)
        if "objectRef" in event and event.get("annotations", {}).get("authorization.k8s.io/decision") == "allow"
        for right in _rights(event)
    }


def refused(audit_log: Path, user: str) -> set[Right]:
    """Every right that `user` asked for and did not have."""
    return {
        _right(event["objectRef"], event["verb"])
        for event in _events(audit_log, user)
        if "objectRef" in event and event.get("annotations", {}).get("authorization.k8s.io/decision") == "forbid"
    }


def _events(audit_log: Path, user: str) -> Iterable[dict[str, Any]]:
    with audit_log.open() as lines:
        for line in lines:
            if user not in line:
                continue
            event = json.loads(line)
            if event.get("impersonatedUser", event["user"])["username"] == user:
                yield event


def _rights(event: Mapping[str, Any]) -> Iterable[Right]:
    """What a request needs. A server-side apply that creates needs `create` too, but is logged as `patch`."""
    yield _right(event["objectRef"], event["verb"])
    if event["verb"] == "patch" and event.get("responseStatus", {}).get("code") == 201:
        yield _right(event["objectRef"], "create")


def _right(reference: Mapping[str, str], verb: str) -> Right:
    resource = "/".join(part for part in (reference["resource"], reference.get("subresource")) if part)
    return Right(reference.get("apiGroup", ""), resource, verb)
