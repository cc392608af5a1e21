"""What the three dashboards have in common: variables, rows, panels and the way they are laid out.

A panel has a title, a sentence that says what to read from it, a unit, and queries; nothing else is settled by hand.
Every query selects by `$job` and `$instance`, so that two installations behind one Prometheus stay apart.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    LegendDisplayMode,
    LegendPlacement,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")
OURS = 'job=~"$job", instance=~"$instance"'
"""The selection that every query begins with."""
RATE = "[$__rate_interval]"
WIDTH = 24
GRAPH_HEIGHT, STAT_HEIGHT = 8, 4


@dataclass(frozen=True)
class Line:
    """One query of a graph, and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True)
class Graph:
    """A time series panel. With `stacked` its series are parts of a whole."""

    title: str
    description: str
    unit: str
    lines: tuple[Line, ...]
    stacked: bool = False
    width: int = 8
    minimum: float | None = 0

    def built(self) -> timeseries.Panel:
        """Return the SDK's panel."""
        panel = (
            timeseries.Panel()
            .title(self.title)
            .description(self.description)
            .datasource(SOURCE)
            .unit(self.unit)
            .height(GRAPH_HEIGHT)
            .span(self.width)
            .line_width(1)
            .fill_opacity(30 if self.stacked else 8)
            .legend(common.VizLegendOptions().display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM))
            .tooltip(common.VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
        )
        if self.minimum is not None:
            panel = panel.min(self.minimum)
        if self.stacked:
            panel = panel.stacking(common.StackingConfig().mode(StackingMode.NORMAL))
        for number, line in enumerate(self.lines):
            panel = panel.with_target(_query(line.expr, number).legend_format(line.legend).range())
        return panel


@dataclass(frozen=True)
class Number:
    """One value, green up to `warn_at` and red from `bad_at` on; with `warn_at` above `bad_at`, lower is worse."""

    title: str
    description: str
    unit: str
    expr: str
    warn_at: float | None = None
    bad_at: float | None = None
    width: int = 4

    def built(self) -> stat.Panel:
        """Return the SDK's panel."""
        return (
            stat.Panel()
            .title(self.title)
            .description(self.description)
            .datasource(SOURCE)
            .unit(self.unit)
            .height(STAT_HEIGHT)
            .span(self.width)
            .color_mode(BigValueColorMode.VALUE)
            .graph_mode(BigValueGraphMode.AREA)
            .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
            .thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(self._steps()))
            .with_target(_query(self.expr, 0).range())
        )

    def _steps(self) -> list[Threshold]:
        if self.warn_at is None or self.bad_at is None:
            return [Threshold(value=None, color="green")]
        if self.warn_at <= self.bad_at:
            steps = [(None, "green"), (self.warn_at, "orange"), (self.bad_at, "red")]
        else:
            steps = [(None, "red"), (self.bad_at, "orange"), (self.warn_at, "green")]
        return [Threshold(value=value, color=color) for value, color in steps]


@dataclass(frozen=True)
class Table:
    """The series of one query as they are now, with their labels as columns named by `columns`, in this order."""

    title: str
    description: str
    expr: str
    columns: dict[str, str]
    width: int = 8

    def built(self) -> table.Panel:
        """Return the SDK's panel."""
        order = {label: position for position, label in enumerate(self.columns)}
        return (
            table.Panel()
            .title(self.title)
            .description(self.description)
            .datasource(SOURCE)
            .unit("string")
            .height(GRAPH_HEIGHT)
            .span(self.width)
            .with_target(_query(self.expr, 0).instant().format(PromQueryFormat.TABLE))
            .with_transformation(
                DataTransformerConfig(
                    id_val="organize",
                    options={
                        "includeByName": dict.fromkeys(self.columns, True),
                        "indexByName": order,
                        "renameByName": self.columns,
                    },
                )
            )
        )


Panel = Graph | Number | Table


@dataclass(frozen=True)
class Variable:
    """A choice offered from the values that a label has in the data."""

    name: str
    label: str
    query: str
    multi: bool = False

    def built(self) -> dashboard.QueryVariable:
        """Return the SDK's variable."""
        variable = (
            dashboard.QueryVariable(self.name)
            .label(self.label)
            .datasource(SOURCE)
            .query(self.query)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .sort(VariableSort.ALPHABETICAL_ASC)
        )
        return variable.multi(True).include_all(True) if self.multi else variable


def targets(metric: str) -> tuple[Variable, ...]:
    """The variables `job` and `instance`, from a metric that every target of the dashboard has."""
    return (
        Variable("job", "Job", f"label_values({metric}, job)", multi=True),
        Variable("instance", "Instance", f'label_values({metric}{{job=~"$job"}}, instance)', multi=True),
    )


@dataclass(frozen=True)
class Board:
    """A whole dashboard. `uid` is for good: links and bookmarks hold it."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: dict[str, tuple[Panel, ...]]
    tags: tuple[str, ...] = field(default=("assay",))

    def json(self) -> str:
        """Return what Grafana imports."""
        built = (
            dashboard.Dashboard(self.title)
            .uid(self.uid)
            .description(self.description)
            .tags(list(self.tags))
            .readonly()
            .tooltip(DashboardCursorSync.CROSSHAIR)
            .time("now-1h", "now")
            .refresh("30s")
            .timezone("browser")
            .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        )
        for variable in self.variables:
            built = built.with_variable(variable.built())
        for title, panels in self.rows.items():
            built = built.with_row(dashboard.Row(title))
            for panel in panels:
                built = built.with_panel(panel.built())
        document: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(built.build()))
        for number, panel in enumerate(document["panels"], start=1):
            panel["id"] = number
        return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _query(expr: str, number: int) -> prometheus.Dataquery:
    return prometheus.Dataquery().datasource(SOURCE).expr(expr).ref_id("ABCDEFGH"[number])
