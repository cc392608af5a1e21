"""Every state of Triton's pods, and the conditions it gives. No row may be Ready that does not serve."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from assay.planning.modeldeployment import Snapshot, plan
from deployments import children, ended, model_deployment, pod, snapshot, unscheduled, waiting

NOW = datetime(2026, 11, 24, 20, 0, 5, tzinfo=UTC)
LOAD_FAILURE = """\
| exit_timeout  | 3 |
I1124 20:49:21.477706 1 server.cc:336] "All models are stopped, unloading models"
error: creating server: Invalid argument - load failed for model 'minilm': version 1 is at UNAVAILABLE state: oh

At:
  /models/minilm/1/model.py(28): <module>
;

"""
NO_CONFIGURATION = "| a | b |\nerror: creating server: Internal - failed to load all models\n"
BAD_FLAG = "tritonserver: unrecognized option '--nope'\nUsage: tritonserver [options]\n"
QUOTA = 'pods "minilm-triton-6d4f-x7k2p" is forbidden: exceeded quota: small, requested: pods=1, used: pods=2'
PSA = 'pods "minilm-triton-6d4f-x7k2p" is forbidden: violates PodSecurity "restricted:latest": host ports'


def conditions(seen: Snapshot) -> dict[str, tuple[str, str]]:
    status = plan(seen, NOW).status
    assert status is not None
    return {it["type"]: (it["status"], it["reason"]) for it in status["conditions"]}


def message(seen: Snapshot, type_: str = "Ready") -> str:
    status = plan(seen, NOW).status
    assert status is not None
    return next(it["message"] for it in status["conditions"] if it["type"] == type_)


def replica_failure(text: str) -> dict[str, Any]:
    return {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": text}


class Row(NamedTuple):
    name: str
    pods: list[dict[str, Any]]
    reason: str
    state: str
    says: str = ""
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


GPU = {"gpus": {"count": 1}}
STARTED = {"started": True}
LATER = "2026-11-24T19:58:00Z"
NO_GPU_LEFT = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available"
NO_NODE = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector"
PULL = 'Back-off pulling image "models.example/none:1": ErrImagePull: failed to pull: not found'

BROKEN = [
    Row("no pod yet", [], "ReplicasUpdating", "Pending"),
    Row("a pod without a node", [pod(status=unscheduled(NO_NODE))], "Unschedulable", "Pending", "node affinity"),
    Row("no GPU left", [pod(status=unscheduled(NO_GPU_LEFT))], "WaitingForGPU", "Pending", "nvidia.com/gpu", GPU),
    Row("no GPU where none was asked for", [pod(status=unscheduled(NO_GPU_LEFT))], "Unschedulable", "Pending"),
    Row(
        "a missing claim", [pod(status=unscheduled('persistentvolumeclaim "m" not found'))], "Unschedulable", "Pending"
    ),
    Row("a pod just placed", [pod(status={"containerStatuses": []})], "PodStarting", "Pending"),
    Row("volumes being mounted", [pod(state=waiting("ContainerCreating"))], "PodStarting", "Pending"),
    Row("init containers at work", [pod(state=waiting("PodInitializing"))], "PodStarting", "Pending"),
    Row("an image that is not there", [pod(state=waiting("ErrImagePull", "not found"))], "ImagePullFailed", "Pending"),
    Row(
        "an image pull put off", [pod(state=waiting("ImagePullBackOff", PULL))], "ImagePullFailed", "Pending", "none:1"
    ),
    Row("a name that is no image", [pod(state=waiting("InvalidImageName"))], "ImagePullFailed", "Pending"),
    Row("an image that may not be pulled", [pod(state=waiting("ErrImageNeverPull"))], "ImagePullFailed", "Pending"),
    Row(
        "a missing ConfigMap key",
        [pod(state=waiting("CreateContainerConfigError", "key not found"))],
        "ContainerNotCreated",
        "Pending",
        "key not found",
    ),
    Row(
        "a command that is not in the image",
        [pod(state=waiting("RunContainerError", 'exec: "tritonserver": not found in $PATH'))],
        "ContainerNotCreated",
        "Pending",
        "tritonserver",
    ),
    Row(
        "a crash loop",
        [pod(state=waiting("CrashLoopBackOff") | {"lastState": {"terminated": ended(1, log="boom\n")}})],
        "CrashLoop",
        "FailedToLoad",
        "container triton ended with exit code 1; its last words: boom",
    ),
    Row("a container that just ended", [pod(state={"state": {"terminated": ended(139)}})], "CrashLoop", "FailedToLoad"),
    Row(
        "a container that ended without an error",
        [pod(state={"state": {"terminated": ended(0, reason="Completed")}})],
        "CrashLoop",
        "FailedToLoad",
    ),
    Row(
        "a crashed container that is being tried again",
        [pod(state={"lastState": {"terminated": ended(1, log="boom")}})],
        "CrashLoop",
        "FailedToLoad",
    ),
    Row(
        "memory run out",
        [pod(state=waiting("CrashLoopBackOff") | {"lastState": {"terminated": ended(137, reason="OOMKilled")}})],
        "OOMKilled",
        "FailedToLoad",
        "raise resources.limits.memory",
    ),
    Row(
        "a model that does not load",
        [pod(state=waiting("CrashLoopBackOff") | {"lastState": {"terminated": ended(1, log=LOAD_FAILURE)}})],
        "ModelLoadFailed",
        "FailedToLoad",
        "Triton could not load the model: Invalid argument - load failed for model 'minilm': version 1 is",
    ),
    Row(
        "a model without a readable configuration",
        [pod(state={"state": {"terminated": ended(1, log=NO_CONFIGURATION)}})],
        "ModelLoadFailed",
        "FailedToLoad",
        "Triton could not load the model: Internal - failed to load all models",
    ),
    Row(
        "an argument that Triton does not know",
        [pod(state={"state": {"terminated": ended(1, log=BAD_FLAG)}})],
        "CrashLoop",
        "FailedToLoad",
        "Usage: tritonserver",
    ),
    Row("a model being loaded", [pod()], "ModelLoading", "Loading"),
    Row("a model that loaded a moment ago", [pod(state={"started": True})], "ModelLoading", "Loading"),
    Row("a model unloaded at run time", [pod(state=STARTED, ready_since=LATER)], "ModelUnavailable", "Unknown"),
    Row(
        "a model unloaded from a server that had crashed before",
        [pod(state=STARTED | {"lastState": {"terminated": ended()}}, ready_since=LATER)],
        "ModelUnavailable",
        "Unknown",
    ),
    Row("a node that does not answer", [pod(state={"ready": True, "started": True})], "NodeLost", "Unknown", "node-0"),
    Row(
        "an evicted pod",
        [pod(status={"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"})],
        "Evicted",
        "Pending",
        "low on memory",
    ),
    Row(
        "a pod on its way out", [pod(ready=True, metadata={"deletionTimestamp": "now"})], "ReplicasUpdating", "Pending"
    ),
    Row(
        "a sidecar that crashes beside a model that is ready",
        [
            pod(
                status={
                    "containerStatuses": [
                        {"name": "triton", "ready": True, "started": True, "state": {"running": {}}},
                        {"name": "proxy", "ready": False, "state": {"terminated": ended(2)}},
                    ]
                }
            )
        ],
        "CrashLoop",
        "FailedToLoad",
        "container proxy",
    ),
    Row(
        "an init container that fails",
        [
            pod(
                status={
                    "initContainerStatuses": [{"name": "fetch", "ready": False, "state": {"terminated": ended(3)}}],
                    "containerStatuses": [{"name": "triton", "ready": False, **waiting("PodInitializing")}],
                }
            )
        ],
        "CrashLoop",
        "FailedToLoad",
        "container fetch ended with exit code 3",
    ),
    Row(
        "a quota that is used up",
        [],
        "QuotaExceeded",
        "Pending",
        "exceeded quota: small, requested: pods=1",
        status={"conditions": [replica_failure(QUOTA)]},
    ),
    Row(
        "pods refused by pod security",
        [],
        "PodsRefused",
        "Pending",
        "violates PodSecurity",
        status={"conditions": [replica_failure(PSA)]},
    ),
    Row(
        "a rollout past its deadline",
        [],
        "RolloutStuck",
        "Pending",
        status={"conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]},
    ),
    Row("the worse of two pods", [pod(0), pod(1, state=waiting("ErrImagePull"))], "ImagePullFailed", "Pending"),
]


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in BROKEN])
def test_a_deployment_that_does_not_serve_is_not_ready_and_says_why(row: Row) -> None:
    deployment = model_deployment(row.spec)
    live = children(deployment, ready=0, **(row.status or {}))
    seen = snapshot(deployment, children=live, pods=tuple(row.pods))
    found = conditions(seen)
    expected = ("False", row.reason)
    assert [found[it] for it in ("Ready", "WorkloadReady", "ModelAvailable", "Servable")] == [expected] * 4
    assert found["Accepted"] == ("True", "Accepted")
    assert row.says in message(seen)
    status = plan(seen, NOW).status
    assert status is not None
    assert status["modelStatus"]["state"] == row.state


def test_one_ready_replica_serves_and_is_ready() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment, ready=1), pods=(pod(ready=True),))
    assert conditions(seen) == {
        "Ready": ("True", "AllReplicasReady"),
        "Accepted": ("True", "Accepted"),
        "WorkloadReady": ("True", "AllReplicasReady"),
        "ModelAvailable": ("True", "ModelLoaded"),
        "Servable": ("True", "Serving"),
        "Progressing": ("False", "UpToDate"),
    }


def test_one_of_two_replicas_serves_but_is_not_all_that_was_wished() -> None:
    deployment = model_deployment({"replicas": 2})
    seen = snapshot(deployment, children=children(deployment, ready=1), pods=(pod(0, ready=True), pod(1)))
    found = conditions(seen)
    assert found["Servable"] == ("True", "Serving")
    assert found["ModelAvailable"] == ("True", "ModelLoaded")
    assert found["WorkloadReady"] == found["Ready"] == ("False", "ModelLoading")


def test_a_new_template_that_is_not_applied_yet_is_not_ready_although_old_pods_serve() -> None:
    old = model_deployment()
    new = model_deployment({"model": {"name": "minilm", "version": "2"}})
    seen = snapshot(new, children=children(old, ready=1), pods=(pod(ready=True),))
    found = conditions(seen)
    assert found["Ready"] == ("False", "ReplicasUpdating")
    assert found["Progressing"] == ("True", "ReplicasUpdating")
    assert found["Servable"] == ("True", "Serving")


def test_a_deployment_whose_newest_generation_was_not_observed_is_not_ready() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment, ready=1, observedGeneration=0), pods=(pod(ready=True),))
    assert conditions(seen)["Ready"] == ("False", "ReplicasUpdating")


def test_a_scale_up_is_not_ready_before_the_new_pods_are() -> None:
    small, large = model_deployment(), model_deployment({"replicas": 3})
    seen = snapshot(large, children=children(small, ready=1), pods=(pod(ready=True),))
    assert conditions(seen)["Ready"] == ("False", "ReplicasUpdating")


def test_pods_that_kubernetes_does_not_count_as_ready_do_not_make_ready() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment, ready=0), pods=(pod(ready=True),))
    assert conditions(seen)["Servable"] == ("False", "ReplicasUpdating")


def test_a_count_of_ready_pods_that_is_out_of_date_does_not_make_ready() -> None:
    deployment = model_deployment()
    seen = snapshot(deployment, children=children(deployment, ready=1), pods=(pod(state=STARTED, ready_since=LATER),))
    assert conditions(seen)["Ready"] == ("False", "ModelUnavailable")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({"suspend": True}, "Suspended", id="suspended"),
        pytest.param({"replicas": 0}, "ScaledToZero", id="scaled to zero"),
    ],
)
def test_a_deployment_without_pods_by_choice_is_not_ready_and_not_news(spec: dict[str, Any], reason: str) -> None:
    deployment = model_deployment(spec)
    seen = snapshot(deployment, children=children(deployment))
    assert conditions(seen)["Ready"] == ("False", reason)
    assert conditions(seen)["Progressing"] == ("False", "UpToDate")
    assert [type(effect).__name__ for effect in plan(seen, NOW).effects] == ["Apply"] * 3


def test_the_words_of_a_pull_that_is_put_off_equal_those_of_the_pull_that_failed() -> None:
    deployment = model_deployment()
    why = "failed to pull and unpack image: not found"
    first = waiting("ErrImagePull", why)
    then = waiting("ImagePullBackOff", f'Back-off pulling image "triton:1": ErrImagePull: {why}')
    told = {message(snapshot(deployment, children=children(deployment), pods=(pod(state=it),))) for it in (first, then)}
    assert told == {f"image triton:1 cannot be pulled: {why}"}


def test_words_of_a_container_are_told_on_one_line_and_cut() -> None:
    deployment = model_deployment()
    log = "\x1b[31mred\x00 " + "x" * 5000
    seen = snapshot(
        deployment, children=children(deployment), pods=(pod(state={"state": {"terminated": ended(1, log=log)}}),)
    )
    told = message(seen)
    assert "\x1b" not in told
    assert "\n" not in told
    assert len(told) < 600
