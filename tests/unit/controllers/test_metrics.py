"""The metrics follow the caches: what the statuses say now, changes counted once, nothing after the term."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry

from assay.api import Subnet
from assay.controllers.metrics import reading_of, showing
from assay.controllers.stores import Stores, make_stores
from assay.planning.reports import Rejection
from assay.telemetry.market import MarketMetrics

DIGEST = f"sha256:{'0' * 64}"
SUBNET: dict[str, Any] = {
    "apiVersion": "assay.dev/v1alpha1",
    "kind": "Subnet",
    "metadata": {"namespace": "n", "name": "s", "uid": "u", "resourceVersion": "1", "generation": 1},
    "spec": {"task": {"kind": "Embedding", "model": {"name": "m"}}, "epoch": {"length": "50s", "scoringWindow": "40s"}},
    "status": {
        "epoch": {
            "number": 4,
            "phase": "Scoring",
            "startedAt": "2026-11-24T20:00:50Z",
            "scoringDeadline": "2026-11-24T20:01:30Z",
            "endsAt": "2026-11-24T20:01:40Z",
        },
        "committed": {
            "number": 3,
            "committedAt": "2026-11-24T20:00:20Z",
            "reports": {"expected": 2, "received": 1, "rejected": 1},
            "inputsDigest": DIGEST,
            "stateDigest": DIGEST,
        },
        "miners": [{"uid": 0, "namespace": "m", "name": "a", "weight": 65535, "incentive": 1, "score": "0.500000"}],
        "validators": [
            {"uid": 1, "namespace": "v", "name": "x", "stake": 5, "permit": True, "trust": 9, "lastReportEpoch": 3},
            {"uid": 2, "namespace": "w", "name": "y", "stake": 5, "permit": False, "registeredEpoch": 2},
        ],
        "totals": {"miners": 1, "readyMiners": 1, "validators": 2},
        "rejectedReports": [{"epoch": 3, "validator": "w/y", "reason": "NoPermit"}],
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "SubnetReady", "lastTransitionTime": "2026-11-24T20:00:00Z"}
        ],
    },
}
DEPLOYMENT: dict[str, Any] = {
    "metadata": {"namespace": "m", "name": "a", "resourceVersion": "1"},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "ModelLoading"},
            {"type": "Accepted", "status": "True", "reason": "Accepted"},
        ]
    },
}
REPORT: dict[str, Any] = {
    "metadata": {"namespace": "v", "name": "x-4", "resourceVersion": "1"},
    "spec": {
        "subnet": {"namespace": "n", "name": "s"},
        "validator": {"name": "x"},
        "startedAt": "2026-11-24T20:00:00Z",
        "finishedAt": "2026-11-24T20:00:07Z",
    },
}


class Scene:
    """Caches, and what a scrape shows of them."""

    def __init__(self) -> None:
        self.stores: Stores = make_stores()
        self.registry = CollectorRegistry()
        self.market = MarketMetrics(self.registry)
        self._version = 1

    def put(self, plural: str, obj: dict[str, Any], **status: Any) -> None:
        """Let the cluster have the object, with these parts of its status changed."""
        self._version += 1
        new = copy.deepcopy(obj)
        new["metadata"]["resourceVersion"] = str(self._version)
        if status:
            new["status"] |= status
        self.stores[plural].apply_event("MODIFIED", new)

    def delete(self, plural: str, obj: dict[str, Any]) -> None:
        self._version += 1
        new = copy.deepcopy(obj)
        new["metadata"]["resourceVersion"] = str(self._version)
        self.stores[plural].apply_event("DELETED", new)

    def value(self, name: str, /, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def of_subnet(self, name: str, /, **labels: str) -> float | None:
        return self.value(f"assay_{name}", namespace="n", subnet="s", **labels)

    def count(self) -> int:
        return sum(len(family.samples) for family in self.registry.collect())


@contextmanager
def scene(*known: tuple[str, dict[str, Any]]) -> Iterator[Scene]:
    """A term in which these objects were known at its beginning."""
    here = Scene()
    for plural, obj in known:
        here.put(plural, obj)
    with showing(here.market, here.stores):
        yield here


def committed(number: int) -> dict[str, Any]:
    return {
        "committed": SUBNET["status"]["committed"] | {"number": number, "committedAt": "2026-11-24T20:01:02Z"},
    }


def test_what_was_there_before_the_term_is_shown_from_its_beginning() -> None:
    with scene(("subnets", SUBNET), ("modeldeployments", DEPLOYMENT)) as here:
        assert here.of_subnet("subnet_epoch") == 3
        assert here.of_subnet("subnet_epoch_end_timestamp_seconds") == 1_795_550_500
        labels = {"kind": "ModelDeployment", "namespace": "m", "name": "a", "type": "Ready"}
        assert here.value("assay_condition", **labels, status="False", reason="ModelLoading") == 1


def test_only_the_conditions_of_interest_are_shown() -> None:
    with scene(("modeldeployments", DEPLOYMENT)) as here:
        shown = {sample.labels["type"] for family in here.registry.collect() for sample in family.samples}
        assert shown == {"Ready"}


def test_nothing_is_shown_after_the_term() -> None:
    with scene(("subnets", SUBNET), ("modeldeployments", DEPLOYMENT)) as here:
        here.put("subnets", SUBNET, **committed(4))
        assert here.count() > 0
    assert here.count() == 0


def test_an_object_that_is_deleted_takes_its_series_along() -> None:
    with scene(("subnets", SUBNET), ("modeldeployments", DEPLOYMENT)) as here:
        here.delete("subnets", SUBNET)
        here.delete("modeldeployments", DEPLOYMENT)
        assert here.count() == 0


def test_a_commit_is_counted_once_with_its_delay_since_the_opening() -> None:
    with scene(("subnets", SUBNET)) as here:
        assert here.of_subnet("epochs_committed_total") == 0, "what was committed before is another term's"
        here.put("subnets", SUBNET, **committed(4))
        here.put("subnets", SUBNET, **committed(4), totals={"miners": 1})
        assert here.of_subnet("epochs_committed_total") == 1
        assert here.of_subnet("epoch_commit_delay_seconds") == 12


def test_the_first_commit_of_a_subnet_counts_too() -> None:
    new = copy.deepcopy(SUBNET)
    del new["status"]["committed"]
    new["status"]["epoch"]["number"] = 1
    with scene(("subnets", new)) as here:
        here.put("subnets", new, **committed(1))
        assert here.of_subnet("epochs_committed_total") == 1


def test_a_rejected_report_is_counted_when_it_first_appears() -> None:
    another = {"epoch": 4, "validator": "w/y", "reason": "NoPermit"}
    known = SUBNET["status"]["rejectedReports"]
    with scene(("subnets", SUBNET)) as here:
        assert here.of_subnet("reports_rejected_total", reason="NoPermit") == 0, "what was there is history"
        here.put("subnets", SUBNET, rejectedReports=[another, *known])
        here.put("subnets", SUBNET, rejectedReports=[another])
        assert here.of_subnet("reports_rejected_total", reason="NoPermit") == 1
        assert all(here.of_subnet("reports_rejected_total", reason=reason) is not None for reason in Rejection)


def test_the_time_of_a_new_report_is_observed_and_old_ones_are_history() -> None:
    with scene(("subnets", SUBNET), ("scorereports", REPORT)) as here:
        assert here.of_subnet("report_duration_seconds_count") is None
        new = copy.deepcopy(REPORT)
        new["metadata"]["name"] = "x-5"
        here.put("scorereports", new)
        here.put("scorereports", new)
        assert here.of_subnet("report_duration_seconds_count") == 1
        assert here.of_subnet("report_duration_seconds_sum") == 7


def test_a_report_that_breaks_every_rule_changes_nothing() -> None:
    with scene(("subnets", SUBNET)) as here:
        before = here.count()
        for spec in ({}, {"startedAt": 5, "finishedAt": 6}, {"startedAt": "x", "finishedAt": "y"}):
            broken = copy.deepcopy(REPORT) | {"spec": {"subnet": REPORT["spec"]["subnet"], **spec}}
            broken["metadata"]["name"] = f"broken-{len(spec)}-{spec.get('startedAt')}"
            here.put("scorereports", broken)
        assert here.count() == before


def test_a_subnet_that_cannot_be_read_keeps_what_it_showed() -> None:
    with scene(("subnets", SUBNET)) as here:
        here.put("subnets", {**SUBNET, "spec": {}})
        assert here.of_subnet("subnet_epoch") == 3


def test_stake_without_a_permit_does_not_count_and_silence_counts_from_joining() -> None:
    first, second = reading_of(Subnet.parse(SUBNET)).validators
    assert (first.stake, first.silent_epochs, first.voted) == (5, 0, True)
    assert (second.stake, second.silent_epochs, second.voted) == (0, 2, False)
