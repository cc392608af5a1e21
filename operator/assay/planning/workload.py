"""What Triton's pods are up to, told from the Deployment and the pods alone.

Owns the translation of what Kubernetes reports - conditions, waiting reasons, exit codes, ends of logs - into one
trouble of the closed set. Invariants: a pod counts as ready only by its own Ready condition; messages carry no counters
and no random names, so that a trouble that persists reads the same every time.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from assay.planning.reasons import DeploymentReason as Reason

QUOTED_CHARACTERS: Final = 400

IMAGE_REASONS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
    }
)
STARTING_REASONS: Final = frozenset({"ContainerCreating", "PodInitializing"})
LAST_WORDS: Final = "error: creating server: "
"""How Triton begins the line in which it says why it ends."""

LOAD_FAILURES: Final = ("failed to load", "load failed for model", "UNAVAILABLE")
"""What that line says if a model is the reason."""

ModelState = Literal["Pending", "Loading", "Loaded", "FailedToLoad", "Unknown"]


@dataclass(frozen=True)
class Trouble:
    """Why a pod, or all of them, do not serve.

    Attributes:
        reason: from the closed set.
        message: for people; constant while the trouble is.
        exit_code: of the container that ended, if one did.
        time: when it ended, RFC 3339.
    """

    reason: Reason
    message: str
    exit_code: int | None = None
    time: str | None = None


SEVERITY: Final = (
    Reason.QUOTA_EXCEEDED,
    Reason.PODS_REFUSED,
    Reason.IMAGE_PULL_FAILED,
    Reason.OOM_KILLED,
    Reason.MODEL_LOAD_FAILED,
    Reason.CRASH_LOOP,
    Reason.CONTAINER_NOT_CREATED,
    Reason.WAITING_FOR_GPU,
    Reason.UNSCHEDULABLE,
    Reason.NODE_LOST,
    Reason.MODEL_UNAVAILABLE,
    Reason.MODEL_LOADING,
    Reason.POD_STARTING,
    Reason.EVICTED,
    Reason.REPLICAS_UPDATING,
)
"""Troubles, the one to tell first at the front: what needs a hand before what passes by itself."""

TRANSIENT: Final = frozenset({Reason.POD_STARTING, Reason.MODEL_LOADING, Reason.REPLICAS_UPDATING})
"""Troubles that are a stage and no failure."""

STATES: Final[Mapping[Reason, ModelState]] = {
    Reason.OOM_KILLED: "FailedToLoad",
    Reason.MODEL_LOAD_FAILED: "FailedToLoad",
    Reason.CRASH_LOOP: "FailedToLoad",
    Reason.MODEL_LOADING: "Loading",
    Reason.MODEL_UNAVAILABLE: "Unknown",
    Reason.NODE_LOST: "Unknown",
}
"""The model's state by trouble; Pending for all others."""


def is_ready(pod: Mapping[str, Any]) -> bool:
    """Whether the pod takes traffic: its Ready condition holds and it is not on its way out."""
    ready = condition(pod, "Ready")
    return not is_terminating(pod) and ready is not None and ready.get("status") == "True"


def is_terminating(pod: Mapping[str, Any]) -> bool:
    """Whether deletion was asked for."""
    return "deletionTimestamp" in pod["metadata"]


def worst_trouble(deployment: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], gpu: str | None) -> Trouble | None:
    """The trouble to tell: the most severe of the Deployment's own and of all pods that are not ready.

    Args:
        deployment: the live Deployment.
        pods: its pods.
        gpu: the extended resource that the pods ask for, if any.
    """
    present = [pod for pod in pods if not is_terminating(pod)]
    troubles = [pod_trouble(pod, gpu) for pod in present if not is_ready(pod)]
    creation = creation_trouble(deployment)
    if creation is not None:
        troubles.append(creation)
    return min(troubles, key=lambda it: (SEVERITY.index(it.reason), it.message), default=None)


def creation_trouble(deployment: Mapping[str, Any]) -> Trouble | None:
    """Why the Deployment cannot create pods, if it cannot."""
    failure = condition(deployment, "ReplicaFailure")
    if failure is None or failure.get("status") != "True":
        return None
    # "pods "name-of-one-try" is forbidden: …" has another name each time.
    words = quoted(failure.get("message", "").rpartition("is forbidden: ")[2])
    if "exceeded quota" in words:
        return Trouble(Reason.QUOTA_EXCEEDED, f"{words}; raise the quota or ask for less")
    return Trouble(Reason.PODS_REFUSED, f"the API server refuses the pods: {words}")


def pod_trouble(pod: Mapping[str, Any], gpu: str | None) -> Trouble:
    """Why this pod, which is not ready, is not."""
    status = pod.get("status", {})
    if status.get("phase") in {"Failed", "Succeeded"}:
        words = quoted(status.get("message") or status.get("reason") or "the pod ended")
        return Trouble(Reason.EVICTED, words)
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return _unscheduled(scheduled, gpu)
    containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
    found = [_container_trouble(container, pod) for container in containers if not _is_finished(container)]
    troubles = [trouble for trouble in found if trouble is not None]
    if troubles:
        return min(troubles, key=lambda it: SEVERITY.index(it.reason))
    if containers:
        node = pod.get("spec", {}).get("nodeName", "")
        return Trouble(Reason.NODE_LOST, f"node {node} does not answer, its pods are taken for not ready")
    return Trouble(Reason.POD_STARTING, "the pod has a node and is about to start")


def condition(obj: Mapping[str, Any], type_: str) -> Mapping[str, Any] | None:
    """The condition of this type, as Kubernetes wrote it."""
    conditions: Iterable[Mapping[str, Any]] = obj.get("status", {}).get("conditions", [])
    return next((it for it in conditions if it.get("type") == type_), None)


def quoted(text: str) -> str:
    """What a server or a component said, fit for one line: printable, single spaces, at most 400 characters."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= QUOTED_CHARACTERS else line[: QUOTED_CHARACTERS - 1] + "…"


def _is_finished(container: Mapping[str, Any]) -> bool:
    """Whether this is an init container that did its work."""
    ended = container.get("state", {}).get("terminated")
    return ended is not None and ended.get("exitCode") == 0 and container.get("ready") is True


def _unscheduled(scheduled: Mapping[str, Any], gpu: str | None) -> Trouble:
    words = quoted(scheduled.get("message", "")) or "no node was found yet"
    if gpu is not None and f"Insufficient {gpu}" in words:
        return Trouble(Reason.WAITING_FOR_GPU, f"no node has enough free {gpu}: {words}")
    return Trouble(Reason.UNSCHEDULABLE, f"no node takes the pod: {words}")


def _container_trouble(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Trouble | None:
    state, name = container.get("state", {}), container["name"]
    waiting, ended = state.get("waiting"), state.get("terminated")
    last = ended or container.get("lastState", {}).get("terminated")
    if waiting is not None:
        why = waiting.get("reason", "")
        if why in IMAGE_REASONS:
            return Trouble(Reason.IMAGE_PULL_FAILED, _pull_failure(container, waiting, pod))
        if why == "CrashLoopBackOff" and last is not None:
            return _ended(name, last)
        if why and why not in STARTING_REASONS:
            words = quoted(waiting.get("message", "")) or why
            return Trouble(Reason.CONTAINER_NOT_CREATED, f"container {name}: {why}: {words}")
        if last is not None:
            return _ended(name, last)
        return Trouble(Reason.POD_STARTING, f"container {name} is about to start")
    if ended is not None:
        return _ended(name, ended)
    if container.get("ready"):
        return None
    if container.get("started") and _was_ready(container, pod):
        return Trouble(Reason.MODEL_UNAVAILABLE, f"container {name} runs, but says no longer that the model is ready")
    if last is not None:
        return _ended(name, last)
    return Trouble(Reason.MODEL_LOADING, f"container {name} runs and has not loaded the model yet")


def _was_ready(container: Mapping[str, Any], pod: Mapping[str, Any]) -> bool:
    """Whether the pod lost its readiness after this container started; before, it has yet to win it."""
    lost_at = (condition(pod, "Ready") or {}).get("lastTransitionTime", "")
    return bool(lost_at > container.get("state", {}).get("running", {}).get("startedAt", ""))


def _pull_failure(container: Mapping[str, Any], waiting: Mapping[str, Any], pod: Mapping[str, Any]) -> str:
    """One sentence for both of the words that the kubelet alternates between."""
    said = quoted(waiting.get("message", ""))
    # "Back-off pulling image "x": ErrImagePull: <why>" and the bare <why> are the same trouble.
    why = said.rpartition("ErrImagePull: ")[2]
    image = re.search(r'pulling image "([^"]+)"|image "([^"]+)"|reference "([^"]+)"', said)
    named = next((group for group in image.groups() if group), None) if image else None
    subject = named or _image_of(container["name"], pod)
    return f"image {subject} cannot be pulled: {why or waiting.get('reason')}"


def _image_of(name: str, pod: Mapping[str, Any]) -> str:
    spec = pod.get("spec", {})
    containers = [*spec.get("initContainers", []), *spec.get("containers", [])]
    return next((it.get("image", "") for it in containers if it.get("name") == name), name)


def _ended(name: str, ended: Mapping[str, Any]) -> Trouble:
    code, time, log = ended.get("exitCode"), ended.get("finishedAt"), ended.get("message", "")
    if ended.get("reason") == "OOMKilled":
        words = f"container {name} took more memory than its limit; raise resources.limits.memory in spec.podTemplate"
        return Trouble(Reason.OOM_KILLED, words, code, time)
    words = _last_words(log)
    if any(mark in words for mark in LOAD_FAILURES):
        return Trouble(Reason.MODEL_LOAD_FAILED, f"Triton could not load the model: {words}", code, time)
    said = f"; its last words: {words}" if words else ""
    return Trouble(Reason.CRASH_LOOP, f"container {name} ended with exit code {code}{said}", code, time)


def _last_words(log: str) -> str:
    """Why the server ended, by its own account: Triton's closing line with what follows it, else the last line."""
    _, mark, told = log.rpartition(LAST_WORDS)
    if mark:
        return quoted(told)
    return quoted(next((line for line in reversed(log.splitlines()) if line.strip()), ""))
