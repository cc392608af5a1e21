"""Names, labels and ownership of children: pure functions of the owner, never generated.

A name that only depends on what an object is for makes a repeated create harmless and a lost child findable.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from assay.api import API_VERSION, ObjectMeta

MANAGED_BY = {"app.kubernetes.io/managed-by": "assay"}
LABEL_KIND = "assay.dev/kind"
LABEL_NAME = "assay.dev/name"
LABEL_EPOCH = "assay.dev/epoch"
SCORER_CLUSTER_ROLE = "assay-scorer"


def short_digest(*parts: str, length: int = 8) -> str:
    """The first `length` hexadecimal digits of the SHA-256 over the parts, joined by slashes."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:length]


def epoch_name(policy_name: str, policy_uid: str, subnet_uid: str, epoch: int) -> str:
    """The one name of a validator's assignment, Job and ScoreReport in one epoch of one subnet."""
    return f"{policy_name}-{epoch}-{short_digest(subnet_uid, policy_uid)}"


def scorer_account(policy_name: str) -> str:
    """The service account under which a validator's Jobs file their reports."""
    return f"{policy_name}-scorer"


def labels(kind: str, owner: str, role: str) -> dict[str, str]:
    """Labels of a child: who manages it, what it is, whose it is."""
    return {
        **MANAGED_BY,
        "app.kubernetes.io/name": role,
        "app.kubernetes.io/instance": owner,
        "app.kubernetes.io/part-of": "assay",
        LABEL_KIND: kind,
        LABEL_NAME: owner,
    }


def owner_reference(kind: str, metadata: ObjectMeta) -> dict[str, Any]:
    """The controller reference that ties a child's life to its owner's."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": metadata.name,
        "uid": metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def child_metadata(
    kind: str, owner: ObjectMeta, role: str, name: str, *, extra_labels: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Metadata of a namespaced child of `owner`."""
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": {**labels(kind, owner.name, role), **(extra_labels or {})},
        "ownerReferences": [owner_reference(kind, owner)],
    }
