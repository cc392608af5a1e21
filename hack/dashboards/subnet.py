"""The subnet's dashboard: who earns and why, how far validators agree, and whether the clock runs."""

from dashboards.board import OURS, Board, Graph, Line, Number, Table, Variable, targets

HERE = f'{OURS}, namespace="$namespace", subnet="$subnet"'
HOUR = "[1h]"
"""What comes once an epoch is counted over an hour: the interval of rates may lie between two epochs."""
BY_MINER, BY_VALIDATOR = "{{miner}} ({{uid}})", "{{validator_namespace}}/{{validator}}"


def of_subnet(metric: str) -> str:
    """The one value of a subnet's gauge. While leadership moves, two replicas may have it."""
    return f"max(assay_{metric}{{{HERE}}})"


def by_miner(metric: str) -> str:
    """A miner's gauge."""
    return f"max by (miner_namespace, miner, uid) (assay_miner_{metric}{{{HERE}}})"


def by_validator(metric: str) -> str:
    """A validator's gauge."""
    return f"max by (validator_namespace, validator) (assay_validator_{metric}{{{HERE}}})"


MINERS = (
    f'label_replace(label_replace(assay_miner_weight_ratio{{{HERE}}}, "name", "$1", "miner", "(.*)"),'
    ' "namespace", "$1", "miner_namespace", "(.*)")'
)
"""The subnet's miners under the labels that conditions have."""

BOARD = Board(
    uid="assay-subnet",
    title="assay / Subnet",
    description="Who earns and why, how far the validators agree, and whether the epoch clock runs.",
    variables=(
        *targets("assay_subnet_epoch"),
        Variable("namespace", "Namespace", 'label_values(assay_subnet_epoch{job=~"$job"}, namespace)'),
        Variable("subnet", "Subnet", 'label_values(assay_subnet_epoch{job=~"$job", namespace="$namespace"}, subnet)'),
    ),
    rows={
        "At a glance": (
            Number("Epoch", "The last epoch committed.", "none", of_subnet("subnet_epoch")),
            Number(
                "Next epoch due in",
                "Time until the next epoch is due. Below zero it is late; more than one epoch late raises an alert.",
                "s",
                f"{of_subnet('subnet_epoch_end_timestamp_seconds')} - time()",
                warn_at=-5,
                bad_at=-60,
            ),
            Number(
                "Age of the consensus",
                "Epoch lengths since the last commit. Above three, weights no longer follow what miners do.",
                "none",
                f"(time() - {of_subnet('subnet_committed_timestamp_seconds')})"
                f" / {of_subnet('subnet_epoch_length_seconds')}",
                warn_at=2,
                bad_at=3,
            ),
            Number(
                "Miners ready",
                "Share of the registered miners that can be asked now.",
                "percentunit",
                f"{of_subnet('subnet_miners_ready')} / {of_subnet('subnet_miners')}",
                warn_at=0.8,
                bad_at=0.5,
            ),
            Number(
                "Reports counted",
                "Share of the validators asked whose report counted in the last committed epoch.",
                "percentunit",
                f"{of_subnet('subnet_reports_received')} / {of_subnet('subnet_reports_expected')}",
                warn_at=1,
                bad_at=0.67,
            ),
            Number(
                "Largest coalition",
                "Most of the stake that acts as one: one namespace, or all who dissent. From one half on it decides"
                " alone.",
                "percentunit",
                of_subnet("subnet_coalition_stake_ratio"),
                warn_at=0.3334,
                bad_at=0.5,
            ),
        ),
        "Who earns, and why": (
            Graph(
                "Incentive",
                "Share of the miners' emission. It follows weight, normalised over all miners.",
                "percentunit",
                (Line(by_miner("incentive_ratio"), BY_MINER),),
                stacked=True,
            ),
            Graph(
                "Consensus weight",
                "The weight that validators with the share kappa of the stake agree on. Zero: too few would pay it.",
                "percentunit",
                (Line(by_miner("weight_ratio"), BY_MINER),),
            ),
            Graph(
                "Score",
                "Quality of the answers, as the median validator by stake measured it. Full score and little weight:"
                " see latency.",
                "percentunit",
                (Line(by_miner("score_ratio"), BY_MINER),),
            ),
            Table(
                "Why miners are ready or not",
                "Ready of every miner's ModelDeployment with its reason; docs/reference/conditions.md has the words.",
                f'max by (namespace, name, status, reason) (assay_condition{{{OURS}, kind="ModelDeployment",'
                f' type="Ready"}}) and on (namespace, name) {MINERS}',
                {"namespace": "Namespace", "name": "Miner", "status": "Ready", "reason": "Reason"},
                width=12,
            ),
            Graph(
                "Miners",
                "Miners that hold a number, and those that can be asked now.",
                "none",
                (
                    Line(of_subnet("subnet_miners"), "registered"),
                    Line(of_subnet("subnet_miners_ready"), "ready"),
                ),
                width=12,
            ),
        ),
        "Validators' agreement": (
            Graph(
                "Trust",
                "How much of a validator's weight the consensus shares. One that falls alone is wrong, lazy or cheated;"
                " if all fall, they no longer measure the same.",
                "percentunit",
                (Line(by_validator("trust_ratio"), BY_VALIDATOR),),
            ),
            Graph(
                "Dividends",
                "Share of the validators' emission.",
                "percentunit",
                (Line(by_validator("dividends_ratio"), BY_VALIDATOR),),
                stacked=True,
            ),
            Graph(
                "Stake",
                "Share of the stake that has a permit, as the subnet's owner gives it.",
                "percentunit",
                (Line(by_validator("stake_ratio"), BY_VALIDATOR),),
                stacked=True,
            ),
            Graph(
                "Epochs without a report",
                "Epochs committed since a validator's last report that counted.",
                "none",
                (Line(by_validator("silent_epochs"), BY_VALIDATOR),),
                width=12,
            ),
            Graph(
                "Coalitions",
                "Stake that acts as one: the most that one namespace holds, and all who vote with little trust.",
                "percentunit",
                (Line(f"max by (coalition) (assay_subnet_coalition_stake_ratio{{{HERE}}})", "{{coalition}}"),),
                width=12,
            ),
        ),
        "Epoch clock": (
            Graph(
                "Overdue",
                "How long the next epoch has been due. Some seconds are the commit; it grows while the clock stands.",
                "s",
                (Line(f"clamp_min(time() - {of_subnet('subnet_epoch_end_timestamp_seconds')}, 0)", "overdue"),),
                width=6,
            ),
            Graph(
                "From opening to commit",
                "How long after its opening the last epoch was committed; the scoring window bounds it.",
                "s",
                (Line(of_subnet("epoch_commit_delay_seconds"), "commit"),),
                width=6,
            ),
            Graph(
                "Reports of an epoch",
                "Validators asked, reports that counted, reports refused, in the last committed epoch.",
                "none",
                (
                    Line(of_subnet("subnet_reports_expected"), "expected"),
                    Line(of_subnet("subnet_reports_received"), "counted"),
                    Line(of_subnet("subnet_reports_rejected"), "rejected"),
                ),
                width=6,
            ),
            Graph(
                "Scoring time",
                "How long scorers took, in the hour before. Close to the scoring window, reports will be late.",
                "s",
                tuple(
                    Line(
                        f"histogram_quantile({quantile}, sum by (le)"
                        f" (increase(assay_report_duration_seconds_bucket{{{HERE}}}{HOUR})))",
                        legend,
                    )
                    for quantile, legend in ((0.5, "median"), (0.95, "95 %"))
                ),
                width=6,
            ),
            Graph(
                "Epochs committed",
                "Commits within the hour before; with epochs of five minutes there are twelve.",
                "none",
                (Line(f"sum(increase(assay_epochs_committed_total{{{HERE}}}{HOUR}))", "commits"),),
                width=12,
            ),
            Graph(
                "Rejected reports",
                "Reports that did not count, in the hour before; docs/reference/conditions.md has the reasons.",
                "none",
                (
                    Line(
                        f"sum by (reason) (increase(assay_reports_rejected_total{{{HERE}}}{HOUR}))",
                        "{{reason}}",
                    ),
                ),
                width=12,
            ),
        ),
    },
)
