"""A user's podTemplate, merged strategically over the template that assay builds.

Owns the merge and what it must keep. The merge follows Kubernetes' strategic merge patch: maps merge, lists with a
merge key merge by it, other lists are replaced, null removes a field, `$patch: delete` an element, `$patch: replace`
starts afresh. Invariant: what comes out still is the pod assay promised (its container, labels, identity, mounts and
fixed fields) and passes Pod Security `restricted`; anything else is refused with the field and the remedy, never
repaired in silence.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from assay.desired.podsecurity import RESTRICTED_CONTAINER, violations

MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
}
"""The lists of a PodTemplateSpec that merge, by their `patchMergeKey`."""

FIXED_POD_FIELDS: Final = {
    "serviceAccountName": "pods run under an account without rights that assay makes",
    "serviceAccount": "pods run under an account without rights that assay makes",
    "automountServiceAccountToken": "assay decides which pods get a token",
    "restartPolicy": "it belongs to the kind of workload",
    "nodeName": "use nodeSelector or affinity, so that the scheduler counts what the pod takes",
    "ephemeralContainers": "a template has none; use kubectl debug on a pod",
}

Path = tuple[str, ...]
Fixed = Mapping[Path, str]


class PodTemplateRefused(ValueError):
    """The podTemplate cannot be merged, or would break what assay keeps; `problems` names each field and its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


def merge_pod_template(
    base: Mapping[str, Any],
    overlay: Mapping[str, Any] | None,
    *,
    container: str,
    fixed: Fixed | None = None,
    fixed_pod: Fixed | None = None,
    path: str = "podTemplate",
) -> dict[str, Any]:
    """Merge `overlay` over the PodTemplateSpec `base` and check that the result keeps what it has to.

    Args:
        base: the complete template that assay builds; not changed.
        overlay: a partial PodTemplateSpec, as the user wrote it; None for none.
        container: name of the one container in `base`.
        fixed: fields of that container that must come out as they went in, each with the remedy to tell.
        fixed_pod: the same for fields of the pod spec.
        path: where the overlay stands in the user's object, for messages.

    Raises:
        PodTemplateRefused: one problem for each field that is malformed or would break an invariant.
    """
    overlay = overlay or {}
    try:
        merged = _merge_map(base, overlay, path)
    except _Malformed as problem:
        raise PodTemplateRefused([str(problem)]) from None
    problems = [
        *_misplaced(overlay, path),
        *_lost_labels(base, merged, path),
        *_broken_spec(base["spec"], merged.get("spec", {}), container, fixed or {}, fixed_pod or {}, f"{path}.spec"),
    ]
    if not problems:
        merged["spec"] = _with_restricted_sidecars(merged["spec"], container)
        problems = [f"{path}.spec.{problem}" for problem in violations(merged["spec"])]
    if problems:
        raise PodTemplateRefused(problems)
    return merged


class _Malformed(ValueError):
    """Raised inside the merge: a shape that cannot be merged."""


def _merge_map(base: Mapping[str, Any], overlay: Mapping[str, Any], path: str) -> dict[str, Any]:
    directive = overlay.get("$patch", "merge")
    if directive not in ("merge", "replace"):
        raise _Malformed(f"{path}.$patch: {directive!r} is not possible here; remove a field with null")
    merged = {} if directive == "replace" else copy.deepcopy(dict(base))
    for key, value in overlay.items():
        if key == "$patch":
            continue
        if key.startswith("$"):
            raise _Malformed(f"{path}.{key}: this directive is not supported; use null or $patch: delete")
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(key, merged.get(key), value, f"{path}.{key}")
    return merged


def _merge_value(key: str, base: Any, overlay: Any, path: str) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(base, Mapping) or isinstance(overlay, Mapping):
        if not isinstance(overlay, Mapping) or not isinstance(base, Mapping | None):
            raise _Malformed(f"{path}: expected {_kind(base)}, found {_kind(overlay)}; write it as in a Pod")
        return _merge_map(base or {}, overlay, path)
    if key in MERGE_KEYS and (isinstance(base, list) or isinstance(overlay, list)):
        if not isinstance(overlay, list):
            raise _Malformed(f"{path}: expected a list, found {_kind(overlay)}; write it as in a Pod")
        return _merge_list(key, base or [], overlay, path)
    if isinstance(base, list) and not isinstance(overlay, list):
        raise _Malformed(f"{path}: expected a list, found {_kind(overlay)}; write it as in a Pod")
    return copy.deepcopy(overlay)


def _merge_list(key: str, base: Sequence[Any], overlay: Sequence[Any], path: str) -> list[Any]:
    merge_key = MERGE_KEYS[key]
    merged = {element[merge_key]: element for element in base}
    for index, element in enumerate(overlay):
        if not isinstance(element, Mapping):
            raise _Malformed(f"{path}[{index}]: expected an object with {merge_key}, found {_kind(element)}")
        if merge_key not in element and element.get("$patch") == "replace":
            merged = {}
            continue
        identity = element.get(merge_key)
        if not isinstance(identity, str | int) or isinstance(identity, bool):
            raise _Malformed(f"{path}[{index}].{merge_key}: required, it says which element is meant; add it")
        if element.get("$patch") == "delete":
            merged.pop(identity, None)
            continue
        inner = f"{path}[{identity}]"
        merged[identity] = _merge_map(_mergeable(key, merged.get(identity), element), element, inner)
    return list(merged.values())


def _mergeable(key: str, known: Mapping[str, Any] | None, element: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a known element goes into the merge: nothing where both together would name two sources."""
    if known is None or key == "env":
        return {}
    if key == "volumes" and not (set(known) & set(element)) - {"name"}:
        return {}
    return known


def _kind(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list) else f"{value!r}"


def _misplaced(overlay: Mapping[str, Any], path: str) -> Iterator[str]:
    for key in overlay:
        if key not in {"metadata", "spec", "$patch"}:
            yield f"{path}.{key}: unknown; a pod template has metadata and spec, so move it below {path}.spec"
    for key in overlay.get("metadata") or {}:
        if key not in {"labels", "annotations"}:
            yield f"{path}.metadata.{key}: pods are named by their workload; only labels and annotations can be added"


def _lost_labels(base: Mapping[str, Any], merged: Mapping[str, Any], path: str) -> Iterator[str]:
    labels = merged.get("metadata", {}).get("labels", {})
    for key, value in base.get("metadata", {}).get("labels", {}).items():
        if labels.get(key) != value:
            yield f"{path}.metadata.labels[{key}]: selects the pods, must stay {value!r}; remove it from the template"


def _broken_spec(
    base: Mapping[str, Any], merged: Mapping[str, Any], container: str, fixed: Fixed, fixed_pod: Fixed, path: str
) -> Iterator[str]:
    for field, remedy in FIXED_POD_FIELDS.items():
        if merged.get(field) != base.get(field):
            yield f"{path}.{field}: cannot be changed: {remedy}; remove it from the template"
    yield from _broken(base, merged, fixed_pod, path)
    yield from _broken_container(base, merged, container, fixed, path)
    yield from _broken_volumes(base, merged, path)


def _broken_container(
    base: Mapping[str, Any], merged: Mapping[str, Any], name: str, fixed: Fixed, path: str
) -> Iterator[str]:
    path = f"{path}.containers[{name}]"
    before, after = _container(base, name), _container(merged, name)
    if after is None or before is None:
        yield f"{path}: this container must stay; merge into it by this name"
        return
    yield from _broken(before, after, fixed, path)
    read_only = after.get("securityContext", {}).get("readOnlyRootFilesystem")
    if read_only is not True:
        yield f"{path}.securityContext.readOnlyRootFilesystem: must stay true; mount an emptyDir where it has to write"
    mounts = {mount["mountPath"]: mount for mount in after.get("volumeMounts", [])}
    for mount in before.get("volumeMounts", []):
        if mounts.get(mount["mountPath"]) != mount:
            yield f"{path}.volumeMounts[{mount['mountPath']}]: belongs to assay; mount yours at another path"
    ports = {port["containerPort"]: port for port in after.get("ports", [])}
    for port in before.get("ports", []):
        if ports.get(port["containerPort"]) != port:
            yield f"{path}.ports[{port['containerPort']}]: belongs to assay; declare yours under another number"


def _broken_volumes(base: Mapping[str, Any], merged: Mapping[str, Any], path: str) -> Iterator[str]:
    volumes = {volume["name"]: volume for volume in merged.get("volumes", [])}
    for volume in base.get("volumes", []):
        now = volumes.get(volume["name"])
        # An emptyDir may be made larger or smaller: nothing that assay promises hangs on its size.
        if now != volume and not (now is not None and "emptyDir" in volume and set(now) == {"name", "emptyDir"}):
            yield f"{path}.volumes[{volume['name']}]: belongs to assay; give your volume another name"
    for volume in volumes.values():
        if "projected" in volume and any("serviceAccountToken" in source for source in _sources(volume)):
            yield f"{path}.volumes[{volume['name']}]: projects a service account token; pods of assay get none this way"


def _sources(volume: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    sources = volume["projected"].get("sources") if isinstance(volume["projected"], Mapping) else None
    return [source for source in sources or [] if isinstance(source, Mapping)]


def _broken(base: Mapping[str, Any], merged: Mapping[str, Any], fixed: Fixed, path: str) -> Iterator[str]:
    for field, remedy in fixed.items():
        if _at(merged, field) != _at(base, field):
            yield f"{path}.{'.'.join(field)}: cannot be set here; {remedy}"


def _at(value: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _container(pod_spec: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    return next((container for container in pod_spec.get("containers", []) if container["name"] == name), None)


def _with_restricted_sidecars(pod_spec: Mapping[str, Any], container: str) -> dict[str, Any]:
    """Give containers that the user added the restricted context, except where they say more themselves."""
    filled = dict(pod_spec)
    for field in ("initContainers", "containers"):
        if field in filled:
            filled[field] = [_restricted(it) if it["name"] != container else it for it in filled[field]]
    return filled


def _restricted(container: Mapping[str, Any]) -> dict[str, Any]:
    context = container.get("securityContext", {})
    return {**container, "securityContext": {**RESTRICTED_CONTAINER, **context}}
