"""The serving dashboard: what Triton says of requests, queues, batches and hardware."""

from dashboards.board import OURS, RATE, Board, Graph, Line, Number, Variable, targets

SERVERS = f'{OURS}, namespace=~"$namespace"'
MODELS = f'{SERVERS}, model=~"$model"'
WHO = "{{namespace}}/{{model}}"


def rate(metric: str, by: str = "namespace, model") -> str:
    """Growth a second of one of Triton's counters, which do not end in _total."""
    return f"sum by ({by}) (rate(nv_inference_{metric}{{{MODELS}}}{RATE}))"


def each(duration: str, count: str = "request_success") -> str:
    """Mean seconds that a request spent somewhere; Triton counts microseconds."""
    return f"{rate(duration + '_duration_us')} / 1e6 / {rate(count)}"


def on_device(metric: str) -> str:
    """A gauge of the machine, which the model does not label."""
    return f"max by (namespace, instance, gpu_uuid) (nv_{metric}{{{SERVERS}}})"


BOARD = Board(
    uid="assay-serving",
    title="assay / Serving",
    description="What the Triton servers of miners and references say: requests, queues, batches, hardware.",
    variables=(
        *targets("nv_inference_request_success"),
        Variable(
            "namespace", "Namespace", 'label_values(nv_inference_request_success{job=~"$job"}, namespace)', multi=True
        ),
        Variable(
            "model",
            "Model",
            'label_values(nv_inference_request_success{job=~"$job", namespace=~"$namespace"}, model)',
            multi=True,
        ),
    ),
    rows={
        "At a glance": (
            Number(
                "Servers",
                "Triton servers that answer the scrape.",
                "none",
                f"count(count by (instance) (nv_inference_request_success{{{MODELS}}}))",
                width=6,
            ),
            Number(
                "Requests",
                "Requests answered a second, over all servers.",
                "reqps",
                f"sum(rate(nv_inference_request_success{{{MODELS}}}{RATE}))",
                width=6,
            ),
            Number(
                "Failures",
                "Share of the requests that failed.",
                "percentunit",
                f"sum(rate(nv_inference_request_failure{{{MODELS}}}{RATE}))"
                f" / (sum(rate(nv_inference_request_success{{{MODELS}}}{RATE}))"
                f" + sum(rate(nv_inference_request_failure{{{MODELS}}}{RATE})) > 0) or vector(0)",
                warn_at=0.01,
                bad_at=0.05,
                width=6,
            ),
            Number(
                "Waiting",
                "Requests that wait for an instance of their model, over all servers.",
                "none",
                f"sum(nv_inference_pending_request_count{{{MODELS}}})",
                warn_at=50,
                bad_at=200,
                width=6,
            ),
        ),
        "Requests": (
            Graph("Answered", "Requests answered a second.", "reqps", (Line(rate("request_success"), WHO),)),
            Graph(
                "Failed",
                "Requests that failed, a second, by Triton's reason.",
                "reqps",
                (Line(rate("request_failure", "namespace, model, reason"), WHO + " {{reason}}"),),
            ),
            Graph(
                "Time of a request",
                "Mean time from arrival to answer, inside the server.",
                "s",
                (Line(each("request"), WHO),),
            ),
        ),
        "Queue and batches": (
            Graph(
                "Waiting requests",
                "Requests that wait for an instance of their model: the first sign of too few instances.",
                "none",
                (Line(f"sum by (namespace, model) (nv_inference_pending_request_count{{{MODELS}}})", WHO),),
            ),
            Graph(
                "Time in the queue",
                "Mean time that a request waited. If it exceeds the time of inference, add instances or replicas.",
                "s",
                (Line(each("queue"), WHO),),
            ),
            Graph(
                "Time of inference",
                "Mean time of one execution's inference.",
                "s",
                (Line(each("compute_infer", "exec_count"), WHO),),
            ),
            Graph(
                "Batch size",
                "Inferences in one execution. 1 under load: dynamic batching is off.",
                "none",
                (Line(f"{rate('count')} / {rate('exec_count')}", WHO),),
                width=12,
            ),
            Graph(
                "Time of input and output",
                "Mean time of an execution for moving tensors in and out.",
                "s",
                (
                    Line(each("compute_input", "exec_count"), WHO + " in"),
                    Line(each("compute_output", "exec_count"), WHO + " out"),
                ),
                width=12,
            ),
        ),
        "Hardware": (
            Graph(
                "CPU",
                "Use of the CPUs that the server sees.",
                "percentunit",
                (Line(f"max by (namespace, instance) (nv_cpu_utilization{{{SERVERS}}})", "{{namespace}}"),),
            ),
            Graph(
                "Memory",
                "Memory in use where the server runs.",
                "bytes",
                (Line(f"max by (namespace, instance) (nv_cpu_memory_used_bytes{{{SERVERS}}})", "{{namespace}}"),),
            ),
            Graph(
                "Pinned memory",
                "Pinned memory in use, for copies to and from accelerators.",
                "bytes",
                (
                    Line(
                        f"max by (namespace, instance) (nv_pinned_memory_pool_used_bytes{{{SERVERS}}})", "{{namespace}}"
                    ),
                ),
            ),
            Graph(
                "GPU utilisation",
                "Share of the time in which the GPU worked. Servers without a GPU are not here.",
                "percentunit",
                (Line(on_device("gpu_utilization"), "{{namespace}} {{gpu_uuid}}"),),
            ),
            Graph(
                "GPU memory",
                "Share of the GPU's memory in use. Servers without a GPU are not here.",
                "percentunit",
                (
                    Line(
                        f"{on_device('gpu_memory_used_bytes')} / {on_device('gpu_memory_total_bytes')}",
                        "{{namespace}} {{gpu_uuid}}",
                    ),
                ),
            ),
            Graph(
                "GPU power",
                "Power drawn. Servers without a GPU are not here.",
                "watt",
                (Line(on_device("gpu_power_usage"), "{{namespace}} {{gpu_uuid}}"),),
            ),
        ),
    },
)
