"""Dashboards as Grafana's JSON."""

from typing import TypeVar

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    LegendDisplayMode,
    LegendPlacement,
    ScaleDistribution,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    ValueMap,
    ValueMappingResult,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from components.core.tracking.registry import IDENTITY
from pipelines.monitoring.panel import Board, Panel

Kind = TypeVar("Kind", timeseries.Panel, stat.Panel)

SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
"""The Prometheus that the reader chooses at the top."""

HEIGHT, WIDTH = 8, 24
"""Grafana's grid: rows of a panel, columns of a dashboard."""

KNOWN = '{__name__=~"thaw_stage_info|thaw_outcome_success"}'
"""Series that carry every stage at work or ended."""


def dashboard_json(board: Board) -> str:
    """The dashboard as Grafana imports it: the same text for the same values."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.uid)
        .description(board.description)
        .tags(["thaw"])
        .editable()
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-3h", "now")
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
    )
    for label in IDENTITY:
        built = built.with_variable(_variable(label))
    for panel in board.panels:
        built = built.with_panel(_curves(panel) if panel.kind == "curves" else _values(panel))
    return JSONEncoder(sort_keys=True, indent=1).encode(built.build()) + "\n"


def _variable(label: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(label)
        .datasource(SOURCE)
        .query(f"label_values({KNOWN}, {label})")
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")  # an empty fold too, which no list of values holds
        .current(VariableOption(selected=True, text="All", value="$__all"))
    )


def _begun(builder: Kind, panel: Panel) -> Kind:
    """A panel of any kind with what all have: what it is called, where its data are, its unit and its size."""
    return (
        builder.title(panel.title)
        .description(panel.description)
        .datasource(SOURCE)
        .unit(panel.unit)
        .height(HEIGHT)
        .span(_span(panel))
    )


def _curves(panel: Panel) -> timeseries.Panel:
    scale = ScaleDistribution.LOG if panel.logarithmic else ScaleDistribution.LINEAR
    axis = common.ScaleDistributionConfig().type(scale)
    legend = common.VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST)
    legend = legend.placement(LegendPlacement.BOTTOM).calcs([])
    return (
        _begun(timeseries.Panel(), panel)
        .legend(legend)
        .scale_distribution(axis.log(10) if panel.logarithmic else axis)
        .targets(_targets(panel, instant=False))
    )


def _values(panel: Panel) -> stat.Panel:
    words = {value: ValueMappingResult(text=text, index=index) for index, (value, text) in enumerate(panel.words)}
    return (
        _begun(stat.Panel(), panel)
        .mappings([ValueMap(options=words)] if words else [])
        .text_mode(BigValueTextMode.VALUE_AND_NAME)
        .color_mode(BigValueColorMode.NONE)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .targets(_targets(panel, instant=True))
    )


def _span(panel: Panel) -> int:
    return WIDTH if panel.wide else WIDTH // 2


def _targets(panel: Panel, *, instant: bool) -> list[Builder[Dataquery]]:
    targets: list[Builder[Dataquery]] = []
    for letter, query in zip("ABCDEFGH", panel.queries, strict=False):
        target = prometheus.Dataquery().ref_id(letter).datasource(SOURCE)
        target = target.expr(query.expression).legend_format(query.legend)
        targets.append(target.instant() if instant else target.range())
    return targets
