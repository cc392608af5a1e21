"""The operator's dashboard: queues, reconciles, requests to the API server, watches, leadership, the process."""

from dashboards.board import OURS, RATE, Board, Graph, Line, Number, targets


def quantile(q: float, histogram: str, by: str) -> str:
    """A quantile of a histogram over the rate interval."""
    return f"histogram_quantile({q}, sum by (le, {by}) (rate({histogram}_bucket{{{OURS}}}{RATE})))"


def rate(counter: str, by: str, more: str = "") -> str:
    """Growth of a counter a second."""
    return f"sum by ({by}) (rate({counter}{{{OURS}{more}}}{RATE}))"


FAILED = ', code=~"0|403|429|5.."'
"""Requests that got no answer, were forbidden or throttled, or broke the server."""

BOARD = Board(
    uid="assay-operator",
    title="assay / Operator",
    description="Queues, reconciles, requests to the API server, watches, leadership and the process.",
    variables=targets("assay_event_loop_lag_seconds"),
    rows={
        "At a glance": (
            Number(
                "Leaders",
                "Replicas that lead: one. None for half a minute: see the Lease.",
                "none",
                f"sum(leader_election_master_status{{{OURS}}})",
                warn_at=1,
                bad_at=0.5,
                width=6,
            ),
            Number(
                "Keys waiting",
                "Objects that wait to be reconciled.",
                "none",
                f"sum(workqueue_depth{{{OURS}}})",
                warn_at=100,
                bad_at=1000,
                width=6,
            ),
            Number(
                "Failed reconciles",
                "Share of the reconciles that failed or ran out of time.",
                "percentunit",
                f"sum(rate(controller_runtime_reconcile_errors_total{{{OURS}}}{RATE}))"
                f" / (sum(rate(controller_runtime_reconcile_total{{{OURS}}}{RATE})) > 0) or vector(0)",
                warn_at=0.01,
                bad_at=0.1,
                width=6,
            ),
            Number(
                "Failed requests",
                "Share of the requests to the API server without an answer, or answered 403, 429 or 5xx.",
                "percentunit",
                f"(sum(rate(rest_client_requests_total{{{OURS}{FAILED}}}{RATE})) or vector(0))"
                f" / sum(rate(rest_client_requests_total{{{OURS}}}{RATE}))",
                warn_at=0.01,
                bad_at=0.05,
                width=6,
            ),
        ),
        "Reconciles": (
            Graph(
                "Reconciles",
                "Reconciles a second by result. `requeue_after` asked to be called again; `error` is retried.",
                "ops",
                (Line(rate("controller_runtime_reconcile_total", "controller, result"), "{{controller}} {{result}}"),),
            ),
            Graph(
                "Time of a reconcile",
                "How long the slower reconciles take.",
                "s",
                (
                    Line(
                        quantile(0.5, "controller_runtime_reconcile_time_seconds", "controller"),
                        "{{controller}} median",
                    ),
                    Line(
                        quantile(0.99, "controller_runtime_reconcile_time_seconds", "controller"), "{{controller}} 99 %"
                    ),
                ),
            ),
            Graph(
                "Active workers",
                "Workers that are reconciling now. All of them all the time: a controller is at its limit.",
                "none",
                (Line(f"sum by (controller) (controller_runtime_active_workers{{{OURS}}})", "{{controller}}"),),
            ),
        ),
        "Queues": (
            Graph(
                "Depth",
                "Keys that wait for a worker.",
                "none",
                (Line(f"sum by (name) (workqueue_depth{{{OURS}}})", "{{name}}"),),
            ),
            Graph(
                "Time in the queue",
                "How long the slower keys waited for a worker.",
                "s",
                (Line(quantile(0.99, "workqueue_queue_duration_seconds", "name"), "{{name}} 99 %"),),
            ),
            Graph(
                "Added and put back",
                "Keys made ready, and keys put back for later, a second.",
                "ops",
                (
                    Line(rate("workqueue_adds_total", "name"), "{{name}} added"),
                    Line(rate("workqueue_retries_total", "name"), "{{name}} put back"),
                ),
            ),
        ),
        "API server": (
            Graph(
                "Requests",
                "Requests a second by verb.",
                "reqps",
                (Line(rate("rest_client_requests_total", "verb"), "{{verb}}"),),
            ),
            Graph(
                "Answers",
                "Requests a second by the answer's code; 0 is no answer. 409 and 404 are expected now and then.",
                "reqps",
                (Line(rate("rest_client_requests_total", "code"), "{{code}}"),),
            ),
            Graph(
                "Time of a request",
                "How long the slower requests took, without watches.",
                "s",
                (
                    Line(
                        "histogram_quantile(0.99, sum by (le, verb) (rate(rest_client_request_duration_seconds_bucket"
                        f'{{{OURS}, verb!="watch"}}{RATE})))',
                        "{{verb}} 99 %",
                    ),
                ),
            ),
            Graph(
                "Silence of watches",
                "Time since each watch brought an event or bookmark. At 300 s the leader is restarted.",
                "s",
                (Line(f"max by (watch) (assay_watch_silence_seconds{{{OURS}}})", "{{watch}}"),),
            ),
            Graph(
                "Watched objects",
                "Objects in the last complete list of each kind.",
                "none",
                (Line(f"max by (resource) (assay_informer_objects{{{OURS}}})", "{{resource}}"),),
            ),
            Graph(
                "Interrupted watches",
                "Lists and watches that failed, a second. The API server ends watches by itself now and then.",
                "ops",
                (Line(f"sum(rate(assay_informer_interruptions_total{{{OURS}}}{RATE})) or vector(0)", "interruptions"),),
            ),
        ),
        "Process": (
            Graph(
                "Leader",
                "1 for the replica that leads.",
                "none",
                (Line(f"max by (instance) (leader_election_master_status{{{OURS}}})", "{{instance}}"),),
                width=6,
            ),
            Graph(
                "CPU",
                "Cores in use.",
                "none",
                (Line(rate("process_cpu_seconds_total", "instance"), "{{instance}}"),),
                width=6,
            ),
            Graph(
                "Memory",
                "Resident memory.",
                "bytes",
                (Line(f"max by (instance) (process_resident_memory_bytes{{{OURS}}})", "{{instance}}"),),
                width=6,
            ),
            Graph(
                "Lag of the event loop",
                "How late timers run. Above a second, something blocks the loop; at 10 s the pod is restarted.",
                "s",
                (Line(f"max by (instance) (assay_event_loop_lag_seconds{{{OURS}}})", "{{instance}}"),),
                width=6,
            ),
            Graph(
                "Restarts of the watcher",
                "Times that kopf ended unasked and was started again, an hour.",
                "none",
                (Line(f"3600 * sum by (instance) (rate(assay_kopf_restarts_total{{{OURS}}}{RATE}))", "{{instance}}"),),
                width=12,
            ),
            Graph(
                "Events not written",
                "Kubernetes Events dropped because too many waited, an hour.",
                "none",
                (Line(f"3600 * sum by (instance) (rate(assay_events_dropped_total{{{OURS}}}{RATE}))", "{{instance}}"),),
                width=12,
            ),
        ),
    },
)
