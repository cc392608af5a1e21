"""Every metric of the operator, and nothing but them.

Owns the names, labels and buckets of what the process does; `market` has those of what it knows of users' objects. The
control loop's metrics carry the names of controller-runtime and client-go, so that dashboards made for Go operators
work. It must never label by anything that users can make. Invariant: constructing `Metrics` on a fresh registry has no
side effect elsewhere.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from assay.telemetry.market import MarketMetrics

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The operator's metrics on one registry."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        ProcessCollector(registry=r)
        PlatformCollector(registry=r)
        GCCollector(registry=r)

        queue, controller = ["name"], ["controller"]
        self.queue_depth = Gauge("workqueue_depth", "Keys that are ready to be reconciled.", queue, registry=r)
        self.queue_adds = Counter("workqueue_adds_total", "Keys that were made ready.", queue, registry=r)
        self.queue_retries = Counter("workqueue_retries_total", "Keys that were put back for later.", queue, registry=r)
        self.queue_wait = Histogram(
            "workqueue_queue_duration_seconds", "How long keys waited for a worker.", queue, buckets=_FAST, registry=r
        )
        self.queue_work = Histogram(
            "workqueue_work_duration_seconds", "How long workers held a key.", queue, buckets=_FAST, registry=r
        )
        self.reconciles = Counter(
            "controller_runtime_reconcile_total", "Reconciles by their result.", ["controller", "result"], registry=r
        )
        self.reconcile_errors = Counter(
            "controller_runtime_reconcile_errors_total", "Reconciles that failed.", controller, registry=r
        )
        self.reconcile_time = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "How long a reconcile took.",
            controller,
            buckets=_FAST,
            registry=r,
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Workers that are reconciling now.", controller, registry=r
        )
        self.requests = Counter(
            "rest_client_requests_total",
            "Requests to the API server; code 0 means that no answer came.",
            ["verb", "resource", "code"],
            registry=r,
        )
        self.request_time = Histogram(
            "rest_client_request_duration_seconds", "How long requests took.", ["verb"], buckets=_FAST, registry=r
        )
        self.leader = Gauge("leader_election_master_status", "1 while this process leads.", ["name"], registry=r)

        self.informer_events = Counter(
            "assay_informer_events_total", "Events and bookmarks that watches brought.", ["resource"], registry=r
        )
        self.informer_lists = Counter(
            "assay_informer_lists_total", "Complete lists taken over.", ["resource"], registry=r
        )
        self.informer_interruptions = Counter(
            "assay_informer_interruptions_total", "Lists and watches that failed.", ["resource", "reason"], registry=r
        )
        self.informer_objects = Gauge(
            "assay_informer_objects", "Objects in the last complete list.", ["resource"], registry=r
        )
        self.watch_silence = Gauge(
            "assay_watch_silence_seconds",
            "Time since a watch last brought an event or bookmark.",
            ["watch"],
            registry=r,
        )
        self.kopf_restarts = Counter(
            "assay_kopf_restarts_total", "Times that kopf ended unasked and was started again.", registry=r
        )
        self.loop_lag = Gauge(
            "assay_event_loop_lag_seconds", "How late the event loop ran its last wake-up.", registry=r
        )
        self.events_dropped = Counter("assay_events_dropped_total", "Kubernetes Events not written.", registry=r)
        self.market = MarketMetrics(r)

    def queue(self, name: str) -> "QueueMetrics":
        """The observer of the work queue `name`."""
        return QueueMetrics(self, name)

    def controller(self, name: str) -> "ControllerMetrics":
        """The observer of the controller `name`."""
        return ControllerMetrics(self, name)

    def informer(self, resource: str) -> "InformerMetrics":
        """The observer of the informer of `resource`."""
        return InformerMetrics(self, resource)

    def requested(self, verb: str, resource: str, status: int, took_s: float) -> None:
        """Count a request: `Metrics` is itself the observer of a `KubeClient`."""
        self.requests.labels(verb, resource, str(status)).inc()
        self.request_time.labels(verb).observe(took_s)

    def set_leader(self, name: str, leads: bool) -> None:
        """Show whether this process leads."""
        self.leader.labels(name).set(int(leads))

    def report_watches(self, silences_s: Mapping[str, float]) -> None:
        """Show for how long each watch has brought nothing, in seconds, by the watch's name."""
        for watch, silence_s in silences_s.items():
            self.watch_silence.labels(watch).set(silence_s)


class QueueMetrics:
    """Observes one work queue."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._depth = metrics.queue_depth.labels(name)
        self._adds = metrics.queue_adds.labels(name)
        self._retries = metrics.queue_retries.labels(name)
        self._wait = metrics.queue_wait.labels(name)
        self._work = metrics.queue_work.labels(name)

    def added(self, depth: int) -> None:
        """Count a key that was made ready."""
        self._adds.inc()
        self._depth.set(depth)

    def handed_out(self, depth: int, waited_s: float) -> None:
        """Note how long a key waited."""
        self._depth.set(depth)
        self._wait.observe(waited_s)

    def finished(self, worked_s: float) -> None:
        """Note how long a worker held a key."""
        self._work.observe(worked_s)

    def retried(self) -> None:
        """Count a key that was put back for later."""
        self._retries.inc()


class ControllerMetrics:
    """Observes one controller."""

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._workers = metrics.active_workers.labels(name)
        self._time = metrics.reconcile_time.labels(name)
        self._errors = metrics.reconcile_errors.labels(name)
        results = ("success", "requeue_after", "error", "timeout")
        self._results = {result: metrics.reconciles.labels(name, result) for result in results}

    def active_workers(self, count: int) -> None:
        """Show how many workers are reconciling."""
        self._workers.set(count)

    def reconciled(self, outcome: str, took_s: float) -> None:
        """Count a reconcile by its outcome."""
        self._results[outcome].inc()
        self._time.observe(took_s)
        if outcome in ("error", "timeout"):
            self._errors.inc()


class InformerMetrics:
    """Observes one informer."""

    def __init__(self, metrics: Metrics, resource: str) -> None:
        self._interruptions = metrics.informer_interruptions
        self._resource = resource
        self._events = metrics.informer_events.labels(resource)
        self._lists = metrics.informer_lists.labels(resource)
        self._objects = metrics.informer_objects.labels(resource)

    def listed(self, count: int) -> None:
        """Count a complete list."""
        self._lists.inc()
        self._objects.set(count)

    def received(self) -> None:
        """Count an event or bookmark."""
        self._events.inc()

    def interrupted(self, reason: str) -> None:
        """Count a failure by the name of its error."""
        self._interruptions.labels(self._resource, reason).inc()
