"""Bad values are refused before anything reaches a cluster, with a message that names the key."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from helm import CHART, HelmError, template

REFUSED = {
    "an unknown key": (["--set=replicas=3"], "replicas"),
    "an unknown key inside": (["--set=image.name=x"], "name"),
    "a misspelt policy switch": (["--set=admissionPolicies.enable=false"], "enable"),
    "replicas as text": (["--set-string=replicaCount=two"], "/replicaCount"),
    "negative replicas": (["--set=replicaCount=-1"], "/replicaCount"),
    "an unknown pull policy": (["--set=image.pullPolicy=Sometimes"], "/image/pullPolicy"),
    "a digest that is none": (["--set=image.digest=sha256:abc"], "/image/digest"),
    "a repository with a digest in it": (["--set=image.repository=assay@sha256:abc"], "/image/repository"),
    "an empty repository": (["--set=image.repository="], "/image/repository"),
    "a log level of another language": (["--set=logLevel=TRACE"], "/logLevel"),
    "a privileged port": (["--set=ports.metrics=80"], "/ports/metrics"),
    "an empty Triton image": (["--set=triton.image="], "/triton/image"),
    "a name with capitals": (["--set=fullnameOverride=Assay"], "/fullnameOverride"),
    "a label that is no text": (['--set-json=commonLabels={"a":1}'], "/commonLabels"),
    "no time to stop": (["--set=terminationGracePeriodSeconds=1"], "/terminationGracePeriodSeconds"),
    "two servers on one port": (["--set=ports.health=8080"], "ports.metrics and ports.health are both 8080"),
    "no account and no name of one": (["--set=serviceAccount.create=false"], "serviceAccount.name is empty"),
    "a full name too long for its suffixes": (
        [f"--set=fullnameOverride={'a' * 60}"],
        "fullnameOverride has 60 characters: use at most 52",
    ),
    "an argument the chart sets": (
        ['--set-json=extraArgs=["--metrics-port=1"]'],
        "extraArgs holds --metrics-port=1, which the chart sets itself: use ports.metrics",
    ),
    "a variable the chart sets": (
        ['--set-json=extraEnv=[{"name":"POD_NAME","value":"x"}]'],
        "extraEnv holds POD_NAME",
    ),
    "a label the chart owns": (
        ['--set-json=commonLabels={"app.kubernetes.io/name":"x"}'],
        "commonLabels holds app.kubernetes.io/name, which the chart sets itself",
    ),
    "a pod label the selector needs": (
        ['--set-json=podLabels={"app.kubernetes.io/instance":"x"}'],
        "podLabels holds app.kubernetes.io/instance, which the chart sets itself",
    ),
    "two monitors of one operator": (
        ["--set=serviceMonitor.enabled=true", "--set=podMonitor.enabled=true"],
        "serviceMonitor.enabled and podMonitor.enabled are both true",
    ),
    "an alert that there is not": (
        ["--set=prometheusRule.disabled={AssayNoGPUs}"],
        "prometheusRule.disabled holds AssayNoGPUs, which is no alert of this chart",
    ),
    "an interval without a unit": (["--set-string=serviceMonitor.interval=30"], "/serviceMonitor/interval"),
    "a runbook address with a slash at its end": (
        ["--set=prometheusRule.runbookUrl=https://example.com/"],
        "/prometheusRule/runbookUrl",
    ),
    "a disruption budget that allows no disruption": (
        ["--set=podDisruptionBudget.maxUnavailable=0"],
        "podDisruptionBudget.maxUnavailable is 0",
    ),
}


@pytest.mark.parametrize(("argv", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(argv: list[str], message: str) -> None:
    with pytest.raises(HelmError) as refusal:
        template(*argv)
    assert message in str(refusal.value)


ADMITTED = {
    "global values of a parent chart": ["--set=global.other.thing=1"],
    "the switch of a parent chart": ["--set=enabled=true"],
}


@pytest.mark.parametrize("argv", ADMITTED.values(), ids=ADMITTED.keys())
def test_usable_as_a_subchart(argv: list[str]) -> None:
    assert template(*argv)


MONITORS = ("serviceMonitor", "podMonitor", "tritonPodMonitor")
SCRAPING: dict[str, Any] = {
    "enabled": True,
    "namespace": "other",
    "additionalLabels": {"a": "b"},
    "interval": "45s",
    "scrapeTimeout": "5s",
    "relabelings": [{"action": "labeldrop", "regex": "a"}],
    "metricRelabelings": [{"action": "labeldrop", "regex": "a"}],
}
# A value of each leaf that differs from the default and is allowed.
OTHER: dict[str, Any] = {
    "global.imageRegistry": "r.example",
    "nameOverride": "other",
    "fullnameOverride": "other",
    "commonLabels": {"a": "b"},
    "podAnnotations": {"a": "b"},
    "podLabels": {"a": "b"},
    "image.repository": "r.example/a",
    "image.tag": "2",
    "image.digest": f"sha256:{'b' * 64}",
    "image.pullPolicy": "Always",
    "imagePullSecrets": [{"name": "p"}],
    "scorer.image": "s:1",
    "triton.image": "t:1",
    "clusterDomain": "other.local",
    "logLevel": "DEBUG",
    "extraArgs": ["--x"],
    "extraEnv": [{"name": "X", "value": "1"}],
    "replicaCount": 3,
    "strategy.type": "Recreate",
    "strategy.rollingUpdate.maxSurge": 2,
    "strategy.rollingUpdate.maxUnavailable": 1,
    "podDisruptionBudget.enabled": False,
    "podDisruptionBudget.maxUnavailable": "50%",
    "topologySpreadConstraints": [{"maxSkew": 2}],
    "affinity": {"nodeAffinity": {}},
    "tolerations": [{"operator": "Exists"}],
    "nodeSelector": {"a": "b"},
    "priorityClassName": "high",
    "terminationGracePeriodSeconds": 45,
    "resources": {"requests": {"cpu": "1"}},
    "podSecurityContext.runAsUser": 7,
    "securityContext.readOnlyRootFilesystem": False,
    "ports.metrics": 9090,
    "ports.health": 9091,
    "crds.enabled": False,
    "crds.keep": False,
    "crds.annotations": {"a": "b"},
    "rbac.create": False,
    "rbac.aggregateToDefaultRoles": False,
    "serviceAccount.create": False,
    "serviceAccount.name": "sa",
    "serviceAccount.annotations": {"a": "b"},
    "admissionPolicies.enabled": False,
    "admissionPolicies.extraSystemUsers": ["u"],
    **{f"{monitor}.{leaf}": value for monitor in MONITORS for leaf, value in SCRAPING.items()},
    "serviceMonitor.honorLabels": False,
    "podMonitor.honorLabels": False,
    "prometheusRule.enabled": True,
    "prometheusRule.namespace": "other",
    "prometheusRule.additionalLabels": {"a": "b"},
    "prometheusRule.alertLabels": {"a": "b"},
    "prometheusRule.runbookUrl": "https://example.com/runbooks",
    "prometheusRule.disabled": ["AssayNoGPU"],
    "grafanaDashboards.enabled": True,
    "grafanaDashboards.namespace": "other",
    "grafanaDashboards.label": "other",
    "grafanaDashboards.labelValue": "2",
    "grafanaDashboards.annotations": {"a": "b"},
}
SWITCHED = (*MONITORS, "prometheusRule", "grafanaDashboards")
"""What is off by default: the values below it count only once it is on."""


@pytest.mark.parametrize("path", OTHER)
def test_every_documented_value_changes_the_output(path: str) -> None:
    part, _, leaf = path.partition(".")
    extra = ["--set=serviceAccount.name=given"] if path == "serviceAccount.create" else []
    extra += [f"--set={part}.enabled=true"] if part in SWITCHED and leaf != "enabled" else []
    assert template(*extra, f"--set-json={path}={json.dumps(OTHER[path])}") != template(*extra)


def test_the_table_above_covers_every_value() -> None:
    def leaves(node: Any, path: str = "") -> Iterator[str]:
        if isinstance(node, dict) and node:
            for key, value in node.items():
                yield from leaves(value, f"{path}.{key}" if path else key)
        else:
            yield path

    documented = set(leaves(yaml.safe_load((CHART / "values.yaml").read_text())))
    covered = {leaf for leaf in documented for path in OTHER if leaf == path or leaf.startswith(f"{path}.")}
    whole = {leaf for leaf in documented if leaf.startswith(("podSecurityContext.", "securityContext.", "resources."))}
    assert documented - covered - whole == set()


def test_the_schema_names_every_value_and_no_other() -> None:
    def shape(node: Any) -> Any:
        return {key: shape(value) for key, value in node.items()} if isinstance(node, dict) else None

    def described(schema: dict[str, Any]) -> Any:
        return {key: described(value) for key, value in schema.get("properties", {}).items()} or None

    def drop_open(values: Any, schema: Any) -> Any:
        return {key: drop_open(values[key], schema[key]) for key in values} if schema and values else None

    schema = copy.deepcopy(json.loads((CHART / "values.schema.json").read_text()))
    del schema["properties"]["enabled"], schema["properties"]["resources"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    del values["resources"]
    assert drop_open(shape(values), described(schema)) == described(schema)
