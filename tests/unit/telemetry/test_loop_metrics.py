"""The control loop's metrics: under the names that dashboards know, fed by the real queue and controller."""

import asyncio

from prometheus_client import generate_latest

import virtual_time
from assay.runtime.backoff import KeyedBackoff
from assay.runtime.controller import Controller, Result
from assay.runtime.workqueue import WorkQueue
from assay.telemetry.metrics import Metrics


def value(metrics: Metrics, metric: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(metric, labels)


def test_queue_and_controller_fill_the_metrics_that_controller_runtime_has() -> None:
    metrics = Metrics()
    failures = 2

    async def reconcile(_: str) -> Result:
        nonlocal failures
        await asyncio.sleep(0.2)
        if failures:
            failures -= 1
            raise ConnectionError
        return Result()

    async def main() -> None:
        queue: WorkQueue[str] = WorkQueue(metrics.queue("Subnet"))
        controller = Controller(
            "Subnet", queue, reconcile, backoff=KeyedBackoff(base_s=1), observer=metrics.controller("Subnet")
        )
        task = asyncio.create_task(controller.run())
        queue.add("a")
        await asyncio.sleep(10)
        queue.close()
        await task

    virtual_time.run(main())
    assert value(metrics, "controller_runtime_reconcile_total", controller="Subnet", result="success") == 1
    assert value(metrics, "controller_runtime_reconcile_total", controller="Subnet", result="error") == 2
    assert value(metrics, "controller_runtime_reconcile_total", controller="Subnet", result="requeue_after") == 0
    assert value(metrics, "controller_runtime_reconcile_errors_total", controller="Subnet") == 2
    assert value(metrics, "controller_runtime_reconcile_time_seconds_count", controller="Subnet") == 3
    assert value(metrics, "controller_runtime_active_workers", controller="Subnet") == 0
    assert value(metrics, "workqueue_adds_total", name="Subnet") == 3
    assert value(metrics, "workqueue_retries_total", name="Subnet") == 2
    assert value(metrics, "workqueue_depth", name="Subnet") == 0
    assert value(metrics, "workqueue_queue_duration_seconds_count", name="Subnet") == 3
    assert value(metrics, "workqueue_work_duration_seconds_count", name="Subnet") == 3


def test_requests_watches_and_leadership_are_counted() -> None:
    metrics = Metrics()
    metrics.requested("apply", "deployments.apps", 200, 0.01)
    metrics.requested("watch", "pods", 0, 5)
    informer = metrics.informer("pods")
    informer.listed(3)
    informer.received()
    informer.interrupted("Gone")
    metrics.report_watches({"pods": 61.5})
    metrics.set_leader("assay-operator", True)
    assert value(metrics, "rest_client_requests_total", verb="apply", resource="deployments.apps", code="200") == 1
    assert value(metrics, "rest_client_requests_total", verb="watch", resource="pods", code="0") == 1
    assert value(metrics, "assay_informer_lists_total", resource="pods") == 1
    assert value(metrics, "assay_informer_objects", resource="pods") == 3
    assert value(metrics, "assay_informer_events_total", resource="pods") == 1
    assert value(metrics, "assay_informer_interruptions_total", resource="pods", reason="Gone") == 1
    assert value(metrics, "assay_watch_silence_seconds", watch="pods") == 61.5
    assert value(metrics, "leader_election_master_status", name="assay-operator") == 1
    metrics.set_leader("assay-operator", False)
    assert value(metrics, "leader_election_master_status", name="assay-operator") == 0


def test_two_instances_do_not_share_anything() -> None:
    first, second = Metrics(), Metrics()
    first.set_leader("a", True)
    assert b'leader_election_master_status{name="a"}' not in generate_latest(second.registry)
