"""One case for each alert: series that fire it, series close by that do not, and what it then says.

Values are in promtool's notation (`0+1x10` starts at 0 and grows by 1 ten times), one a minute from moment 0 on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

S = 'namespace="n", subnet="s"'
V = f'{S}, validator_namespace="v", validator="x"'
M = f'{S}, uid="0", miner_namespace="m", miner="a"'
POD = 'job="assay", instance="one"'
LEADS = {f'leader_election_master_status{{{POD}, name="assay-operator"}}': "1x120"}
RUNS = {f"assay_subnet_suspended{{{S}}}": "0x120"}
SUBNET = {"namespace": "n", "subnet": "s"}
DEPLOYMENT = 'kind="ModelDeployment", namespace="m", name="a", type="Ready", status="False"'
TRITON = 'job="assay-triton", namespace="m", model="minilm"'


@dataclass(frozen=True)
class Case:
    """Series by name. `at` is when to look; `value` and `labels` are those of the alert that fires."""

    fires: dict[str, str]
    quiet: dict[str, dict[str, str]]
    summary: str
    severity: str = "warning"
    labels: dict[str, str] = field(default_factory=dict)
    at: str = "60m"


def condition(reason: str, values: str = "1x120") -> dict[str, str]:
    """Ready of a ModelDeployment."""
    return {f'assay_condition{{{DEPLOYMENT}, reason="{reason}"}}': values}


def clock(committed: str, ends: str, *, suspended: bool = False) -> dict[str, str]:
    """A subnet with epochs of five minutes."""
    return {
        f"assay_subnet_committed_timestamp_seconds{{{S}}}": committed,
        f"assay_subnet_epoch_end_timestamp_seconds{{{S}}}": ends,
        f"assay_subnet_epoch_length_seconds{{{S}}}": "300x120",
        f"assay_subnet_suspended{{{S}}}": f"{int(suspended)}x120",
    }


def fresh(status: str, reason: str) -> dict[str, str]:
    """ConsensusFresh of the subnet."""
    labels = f'kind="Subnet", namespace="n", name="s", type="ConsensusFresh", status="{status}", reason="{reason}"'
    return RUNS | {f"assay_condition{{{labels}}}": "1x120"}


def validator(trust: str, stake: str, silent: str = "0x120") -> dict[str, str]:
    """One validator of the subnet."""
    return {
        f"assay_validator_trust_ratio{{{V}}}": trust,
        f"assay_validator_stake_ratio{{{V}}}": stake,
        f"assay_validator_silent_epochs{{{V}}}": silent,
        f"assay_subnet_reports_received{{{S}}}": "3x120",
    }


def coalition(kind: str, ratio: str, validators: int) -> dict[str, str]:
    """A share of the stake that acts as one."""
    return {
        f'assay_subnet_coalition_stake_ratio{{{S}, coalition="{kind}"}}': f"{ratio}x120",
        f"assay_subnet_validators{{{S}}}": f"{validators}x120",
    }


def miners(ready: int, registered: int) -> dict[str, str]:
    """How many miners the subnet has."""
    return {
        f"assay_subnet_miners_ready{{{S}}}": f"{ready}x120",
        f"assay_subnet_miners{{{S}}}": f"{registered}x120",
    }


def requests(failed: str, good: str, code: str = "500") -> dict[str, str]:
    """Requests of the operator to the API server."""
    labels = f'{POD}, verb="list", resource="pods"'
    return LEADS | {
        f'rest_client_requests_total{{{labels}, code="{code}"}}': failed,
        f'rest_client_requests_total{{{labels}, code="200"}}': good,
    }


def reconciles(failed: str, all_of_them: str) -> dict[str, str]:
    """Reconciles of Subnets."""
    return LEADS | {
        f'controller_runtime_reconcile_errors_total{{{POD}, controller="Subnet"}}': failed,
        f'controller_runtime_reconcile_total{{{POD}, controller="Subnet", result="success"}}': all_of_them,
    }


def queue(depth: str, finished: str) -> dict[str, str]:
    """The queue of Subnets."""
    return {
        f'workqueue_depth{{{POD}, name="Subnet"}}': depth,
        f'workqueue_work_duration_seconds_count{{{POD}, name="Subnet"}}': finished,
    }


def answers(failed: str, good: str) -> dict[str, str]:
    """Requests to a Triton server."""
    return {
        f'nv_inference_request_failure{{{TRITON}, reason="BACKEND"}}': failed,
        f"nv_inference_request_success{{{TRITON}}}": good,
    }


STEADY = "0+60x120"
"""A clock that keeps up: what it shows is the present moment."""

CASES: dict[str, Case] = {
    "AssayConsensusStale": Case(
        fires=clock("600x120", STEADY),
        quiet={
            "commits go on": clock(STEADY, STEADY),
            "the subnet is suspended": clock("600x120", STEADY, suspended=True),
            "the first epoch is still to come": fresh("False", "NeverCommitted"),
            "the consensus is fresh": fresh("True", "ConsensusFresh"),
        },
        severity="critical",
        labels=SUBNET,
        summary="The consensus of subnet n/s is stale.",
    ),
    "AssayEpochLate": Case(
        fires=clock(STEADY, "3000x120"),
        quiet={
            "it is due, and less than a length late": clock(STEADY, "3420x120"),
            "the subnet is suspended": clock(STEADY, "600x120", suspended=True),
        },
        labels=SUBNET,
        summary="The next epoch of subnet n/s is 10m 0s late.",
    ),
    "AssayValidatorSilent": Case(
        fires=validator("1x120", "0.5x120", "3x120"),
        quiet={
            "it missed one epoch": validator("1x120", "0.5x120", "1x120"),
            "its reports do not count": validator("0x120", "0x120", "9x120"),
        },
        labels=SUBNET | {"validator_namespace": "v", "validator": "x"},
        summary="Validator v/x has not reported to subnet n/s for 3 epochs.",
    ),
    "AssayReportRejected": Case(
        fires={f'assay_reports_rejected_total{{{S}, reason="NoPermit"}}': "0x50 1x70"},
        quiet={
            "none was": {f'assay_reports_rejected_total{{{S}, reason="NoPermit"}}': "0x120"},
            "it was long ago": {f'assay_reports_rejected_total{{{S}, reason="NoPermit"}}': "0x10 1x110"},
        },
        labels=SUBNET | {"reason": "NoPermit"},
        summary="Subnet n/s rejected a report - NoPermit.",
    ),
    "AssayMinerDroppedToZero": Case(
        fires={f"assay_miner_weight_ratio{{{M}}}": "0.3x30 0x90"},
        quiet={
            "it never had any": {f"assay_miner_weight_ratio{{{M}}}": "0x120"},
            "it has some": {f"assay_miner_weight_ratio{{{M}}}": "0.3x30 0.01x90"},
            "it recovered at once": {f"assay_miner_weight_ratio{{{M}}}": "0.3x50 0x3 0.3x60"},
        },
        labels=SUBNET | {"miner_namespace": "m", "miner": "a"},
        summary="Miner m/a lost all its weight in subnet n/s.",
    ),
    "AssayCoalitionAboveThird": Case(
        fires=coalition("dissent", "0.4", 3),
        quiet={
            "it is a third and no more": coalition("namespace", "0.33333", 3),
            "with two validators one always has more": coalition("namespace", "0.5", 2),
        },
        severity="critical",
        labels=SUBNET | {"coalition": "dissent"},
        summary="40% of the stake of subnet n/s acts as one (dissent).",
    ),
    "AssayTrustCollapse": Case(
        fires=validator("0.3x120", "1x120"),
        quiet={
            "one of little stake is not trusted": validator("0x120", "0.2x120")
            | {
                f'assay_validator_trust_ratio{{{S}, validator_namespace="w", validator="y"}}': "1x120",
                f'assay_validator_stake_ratio{{{S}, validator_namespace="w", validator="y"}}': "0.8x120",
            },
            "nobody reported yet": validator("0x120", "1x120") | {f"assay_subnet_reports_received{{{S}}}": "0x120"},
        },
        severity="critical",
        labels=SUBNET,
        summary="The validators of subnet n/s no longer agree.",
    ),
    "AssayMinersNotReady": Case(
        fires=miners(0, 3),
        quiet={"one is ready": miners(1, 3), "there are none": miners(0, 0)},
        severity="critical",
        labels=SUBNET,
        summary="No miner of subnet n/s can be asked.",
    ),
    "AssayModelLoadFailing": Case(
        fires=condition("CrashLoop", "1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2 1x3 _x2"),
        quiet={"it loads": condition("ModelLoading"), "it failed once": condition("ModelLoadFailed", "1x1 _x100")},
        labels={"namespace": "m", "name": "a"},
        summary="ModelDeployment m/a cannot load its model.",
        at="40m",
    ),
    "AssayNoGPU": Case(
        fires=condition("WaitingForGPU"),
        quiet={
            "it waits for something else": condition("Unschedulable"),
            "it has waited for five minutes": condition("WaitingForGPU", "_x55 1x60"),
        },
        labels={"namespace": "m", "name": "a"},
        summary="ModelDeployment m/a finds no free GPU.",
    ),
    "AssayRequestsFailing": Case(
        fires=answers("0+60x120", "0+540x120"),
        quiet={
            "few fail": answers("0+1x120", "0+540x120"),
            "nobody asks": answers("5x120", "9x120"),
            "the server is not of assay": {
                name.replace("assay-triton", "other"): values
                for name, values in answers("0+60x120", "0+540x120").items()
            },
        },
        labels={"namespace": "m", "model": "minilm"},
        summary="10% of the requests to m/minilm fail.",
    ),
    "AssayRequestsQueueing": Case(
        fires={f"nv_inference_pending_request_count{{{TRITON}}}": "40x120"},
        quiet={"it is a burst": {f"nv_inference_pending_request_count{{{TRITON}}}": "0x57 90x2 0x60"}},
        labels={"namespace": "m", "model": "minilm"},
        summary="40 requests wait for m/minilm all the time.",
    ),
    "AssayNoLeader": Case(
        fires={f'leader_election_master_status{{{POD}, name="assay-operator"}}': "1x30 0x90"},
        quiet={
            "one leads": LEADS,
            "leadership moves": {
                f'leader_election_master_status{{{POD}, name="assay-operator"}}': "1x59 0x60",
                'leader_election_master_status{job="assay", instance="two", name="assay-operator"}': "0x59 1x60",
            },
        },
        severity="critical",
        summary="No replica of the assay operator leads.",
    ),
    "AssayQueueStuck": Case(
        fires=LEADS | queue("2x120", "7x120"),
        quiet={
            "it is long, and worked on": LEADS | queue("90x120", "0+5x120"),
            "it is empty": LEADS | queue("0x120", "7x120"),
            "the replica stands by": queue("2x120", "7x120"),
        },
        severity="critical",
        labels={"job": "assay", "instance": "one", "name": "Subnet"},
        summary="The queue Subnet of the assay operator is stuck.",
    ),
    "AssayAPIErrors": Case(
        fires=requests("0+60x120", "0+240x120"),
        quiet={
            "few fail": requests("0+1x120", "0+240x120"),
            "conflicts are part of the work": requests("0+60x120", "0+240x120", code="409"),
            "nothing is asked": requests("5x120", "9x120"),
        },
        labels={"job": "assay"},
        summary="20% of the assay operator's requests to the API server fail.",
    ),
    "AssayReconcileErrors": Case(
        fires=reconciles("0+60x120", "0+120x120"),
        quiet={"few fail": reconciles("0+1x120", "0+120x120")},
        labels={"job": "assay", "controller": "Subnet"},
        summary="50% of the reconciles of Subnet fail.",
    ),
    "AssayWatchSilent": Case(
        fires=LEADS | {f'assay_watch_silence_seconds{{{POD}, watch="pods"}}': "270x120"},
        quiet={
            "bookmarks come": LEADS | {f'assay_watch_silence_seconds{{{POD}, watch="pods"}}': "70x120"},
            "the replica stands by": {f'assay_watch_silence_seconds{{{POD}, watch="pods"}}': "900x120"},
        },
        labels={"job": "assay", "instance": "one", "watch": "pods"},
        summary="The watch pods of the assay operator has been silent for 4m 30s.",
    ),
}
