"""The children of a ModelDeployment, compared with goldens; each golden is also shown to a real API server."""

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from assay.desired import triton as desired
from deployment_goldens import VARIANTS, golden_path, manifests, update_wanted
from deployments import IMAGE_SOURCE, model_deployment, wished_workload


def pod_spec(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(wished_workload(model_deployment(spec))["spec"]["template"]["spec"])


def container(spec: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(pod_spec(spec)["containers"][0])


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_the_children_of_a_variant_are_as_in_its_golden(variant: str) -> None:
    rendered = yaml.safe_dump_all(manifests(variant), sort_keys=False, width=120)
    if update_wanted():
        golden_path(variant).write_text(rendered)
    assert golden_path(variant).read_text() == rendered, "run ASSAY_UPDATE_GOLDENS=1 pytest if this change is meant"


def test_no_golden_is_left_without_its_variant() -> None:
    assert {path.stem for path in golden_path("x").parent.glob("*.yaml")} == set(VARIANTS)


def test_the_pod_holds_no_token_and_its_account_mounts_none() -> None:
    assert pod_spec()["automountServiceAccountToken"] is False
    assert desired.service_account(model_deployment())["automountServiceAccountToken"] is False


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"replicas": 3}, id="replicas"),
        pytest.param({"rollout": {"maxSurge": 1, "maxUnavailable": 0}}, id="rollout"),
        pytest.param({"subnetRef": {"name": "other"}}, id="the subnet"),
        pytest.param({"suspend": True}, id="suspension"),
    ],
)
def test_what_does_not_concern_a_pod_does_not_roll_it(change: dict[str, Any]) -> None:
    before, after = wished_workload(model_deployment()), wished_workload(model_deployment(change))
    assert before["spec"]["template"] == after["spec"]["template"]
    assert before["metadata"]["annotations"] == after["metadata"]["annotations"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model": {"name": "minilm", "version": "2"}}, id="the model's version"),
        pytest.param({"drain": {"preStop": "20s", "exitTimeout": "30s"}}, id="the drain"),
        pytest.param({"gpus": {"count": 1}}, id="GPUs"),
        pytest.param({"podTemplate": {"metadata": {"labels": {"a": "b"}}}}, id="the podTemplate"),
    ],
)
def test_what_concerns_a_pod_rolls_it_and_shows_in_the_digest(change: dict[str, Any]) -> None:
    before, after = wished_workload(model_deployment()), wished_workload(model_deployment(change))
    key = desired.ANNOTATION_TEMPLATE
    assert before["metadata"]["annotations"][key] != after["metadata"]["annotations"][key]


def test_nothing_in_the_template_tells_the_operators_version() -> None:
    text = yaml.safe_dump(wished_workload(model_deployment())["spec"]["template"])
    assert "version:" not in text.replace("/versions/", "")


@given(st.integers(0, 600), st.integers(0, 3600))
def test_a_pod_has_time_for_its_drain(pre_stop_s: int, exit_timeout_s: int) -> None:
    drain = {"preStop": f"{pre_stop_s}s", "exitTimeout": f"{exit_timeout_s}s"}
    spec = pod_spec({"drain": drain})
    assert spec["terminationGracePeriodSeconds"] == pre_stop_s + exit_timeout_s + 5
    assert f"--exit-timeout-secs={exit_timeout_s}" in spec["containers"][0]["args"]


def test_parts_of_a_second_are_given_in_full() -> None:
    spec = pod_spec({"drain": {"preStop": "1500ms", "exitTimeout": "100ms"}})
    assert spec["terminationGracePeriodSeconds"] == math.ceil(1.5) + math.ceil(0.1) + 5


@pytest.mark.parametrize(
    ("pre_stop", "flags"),
    [
        pytest.param("10s", ["--grpc-max-connection-age=5000"], id="half of the time that a leaving pod still serves"),
        pytest.param("1s", ["--grpc-max-connection-age=2000"], id="but not more often than every two seconds"),
        pytest.param("0s", [], id="not at all without a drain"),
    ],
)
def test_grpc_connections_are_renewed_within_the_drain(pre_stop: str, flags: list[str]) -> None:
    args = container({"drain": {"preStop": pre_stop, "exitTimeout": "30s"}})["args"]
    assert [it for it in args if "connection-age" in it] == flags


def test_readiness_asks_the_model_and_startup_its_version() -> None:
    probes = container({"model": {"name": "bert", "version": "7"}})
    assert probes["readinessProbe"]["httpGet"]["path"] == "/v2/models/bert/ready"
    assert probes["startupProbe"]["httpGet"]["path"] == "/v2/models/bert/versions/7/ready"
    assert probes["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


def test_a_fault_shows_within_five_seconds() -> None:
    probe = container()["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 4


def test_gpus_are_asked_for_as_a_limit_under_their_resources_name() -> None:
    assert container({"gpus": {"count": 2, "resource": "amd.com/gpu"}})["resources"] == {"limits": {"amd.com/gpu": "2"}}
    assert container({"gpus": {"count": 0}})["resources"] == {}


@pytest.mark.parametrize(
    ("source", "repository"),
    [
        pytest.param(IMAGE_SOURCE["source"], "/models", id="an image"),
        pytest.param({"image": {"reference": "a:1", "subPath": "repo/a"}}, "/models/repo/a", id="a part of an image"),
        pytest.param({"image": {"reference": "a:1", "subPath": "repo/"}}, "/models/repo", id="a part with a slash"),
        pytest.param(
            {"persistentVolumeClaim": {"claimName": "m", "subPath": "x"}}, "/models/x", id="a part of a volume"
        ),
        pytest.param({"configMap": {"name": "m"}}, "/models", id="a ConfigMap"),
    ],
)
def test_triton_is_pointed_at_the_repository(source: dict[str, Any], repository: str) -> None:
    assert f"--model-repository={repository}" in container({"triton": {"source": source}})["args"]


def test_the_owners_arguments_come_last() -> None:
    args = container({"triton": IMAGE_SOURCE | {"args": ["--log-verbose=1"]}})["args"]
    assert args[-1] == "--log-verbose=1"
    assert "--model-control-mode=explicit" in args
    assert "--load-model=minilm" in args
    assert "--exit-on-error=true" in args


def test_shared_memory_can_be_sized_and_turned_off() -> None:
    sized = pod_spec({"triton": IMAGE_SOURCE | {"sharedMemory": "4Gi"}})
    assert {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "4Gi"}} in sized["volumes"]
    off = pod_spec({"triton": IMAGE_SOURCE | {"sharedMemory": "0"}})
    assert [volume["name"] for volume in off["volumes"]] == ["model", "tmp"]
    assert "shm" not in [mount["name"] for mount in off["containers"][0]["volumeMounts"]]


def test_the_longest_name_still_gives_children_a_name() -> None:
    assert len(desired.child_name("a" * 52)) <= 63


def test_building_pods_for_a_server_elsewhere_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="serves by triton"):
        desired.pod_template(model_deployment({"triton": None, "endpoint": {"url": "grpc://a:1"}}), "image")
