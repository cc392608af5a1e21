"""What all kinds share: object metadata, references, conditions.

Metadata is read, never rendered: the API server owns its schema. References say how names resolve; whether the target
may be used is for the planner to decide.
"""

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field

from assay.api.schema import ATOMIC, Matches, Model, Timestamp, cel

GROUP: Final = "assay.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

LABEL_NAME: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN: Final = rf"{LABEL_NAME}(\.{LABEL_NAME})*"

Namespace = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Matches(
        LABEL_NAME,
        "must be a namespace name: lower case letters, digits and '-', beginning and ending with a letter or digit",
    ),
]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches(
        SUBDOMAIN,
        "must be the name alone of an object in the same namespace: lower case letters, digits, '-' and '.'",
    ),
]
OwnName = Annotated[
    str,
    Field(min_length=1, max_length=52),
    Matches(LABEL_NAME, "must be a name alone, its namespace apart: at most 52 lower case letters, digits and '-'"),
]
DataKey = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Matches("[-._a-zA-Z0-9]+", "must be a key of the ConfigMap or Secret: letters, digits, '-', '_' and '.'"),
]


class NamespacedName(NamedTuple):
    """Namespace and name of an object; prints as `namespace/name`."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class OwnerReference(Model):
    """A reference from an object to its owner, as the garbage collector reads it."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(Model):
    """The part of an object's metadata that assay reads. Unknown keys, such as managedFields, are ignored."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: Annotated[tuple[str, ...], Field(strict=False)] = ()
    owner_references: Annotated[tuple[OwnerReference, ...], Field(strict=False)] = ()

    @property
    def namespaced_name(self) -> NamespacedName:
        """Namespace and name together."""
        return NamespacedName(self.namespace, self.name)

    @property
    def is_deleting(self) -> bool:
        """Whether deletion was asked for."""
        return self.deletion_timestamp is not None

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages this object, if any."""
        return next((owner for owner in self.owner_references if owner.controller), None)


class Condition(Model):
    """One observation about the object, in the form that `kubectl wait` and all tools know."""

    type: Annotated[str, Field(min_length=1, max_length=64)]
    """Name of the observation, such as Ready."""
    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""
    reason: Annotated[str, Field(min_length=1, max_length=64)]
    """One word from the documented set, for machines."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """What was seen, what was expected and what to do about it, for people."""
    last_transition_time: Timestamp
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation of the object that this was computed from."""


class ObjectRef(Model):
    """Reference to an object of another namespace or of the same."""

    namespace: Namespace | None = None
    """Namespace of the object; absent means the namespace of the referring object."""
    name: OwnName
    """Name of the object."""

    def resolve(self, own_namespace: str) -> NamespacedName:
        """Return where the reference points, seen from an object in `own_namespace`."""
        return NamespacedName(self.namespace or own_namespace, self.name)


class LocalRef(Model):
    """Reference to an assay object of the same namespace."""

    name: OwnName
    """Name of the object."""


@cel(
    "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
    "In and NotIn need at least one value, Exists and DoesNotExist none; add or remove values",
    lambda it: (it.operator in {"In", "NotIn"}) == bool(it.values),
    field=".values",
)
class LabelSelectorRequirement(Model):
    """One requirement on the value of a label."""

    key: Annotated[str, Field(min_length=1, max_length=317)]
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label's value relates to `values`."""
    values: Annotated[tuple[Annotated[str, Field(max_length=63)], ...], Field(strict=False, max_length=64), ATOMIC] = ()
    """Values for In and NotIn; empty for Exists and DoesNotExist."""

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether a set of labels meets the requirement. As in Kubernetes, NotIn holds for an absent label."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None


class LabelSelector(Model):
    """Selects objects by their labels; all parts must hold, and an empty selector selects everything."""

    match_labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)] = Field(
        default_factory=dict
    )
    """Labels that must be present with exactly this value."""
    match_expressions: Annotated[tuple[LabelSelectorRequirement, ...], Field(strict=False, max_length=16), ATOMIC] = ()
    """Requirements that must all hold."""

    def matches(self, labels: dict[str, str]) -> bool:
        """Whether a set of labels is selected."""
        exact = all(labels.get(key) == value for key, value in self.match_labels.items())
        return exact and all(requirement.matches(labels) for requirement in self.match_expressions)
