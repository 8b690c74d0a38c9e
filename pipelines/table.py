"""What a finished run prints: one table of every system's headline metric, and where the report is."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from components.evaluate.values import AUGMENTED, PHASES, PROBES

FIRST = ("untrained", *PHASES, AUGMENTED, *PROBES)
"""Systems of the recipe itself, in the order of training, and what its encoder alone tells; baselines follow."""


def print_results(summary: Mapping[str, Any], report: Path, bundle: Path, console: Console | None = None) -> None:
    """Print the table of a run.

    Args:
        summary: What `thaw run` wrote as summary.json.
        report: The evaluation's HTML file.
        bundle: Folder of the exported model.
    """
    out = console or Console()
    evaluation = summary["stages"]["evaluate"]["metrics"]
    out.print(results_table(evaluation, summary))
    if summary["synthetic"]:
        out.print("Synthetic data: the numbers show that the program works, and nothing about patients.")
    out.print(f"report   {report}\nexport   {bundle}", soft_wrap=True)


def results_table(evaluation: Mapping[str, Any], summary: Mapping[str, Any]) -> Table:
    """Test-split estimates of the headline metric with their 95 % intervals, and the stages' seconds."""
    headline = evaluation["headline"]
    data = "synthetic data" if summary["synthetic"] else "your data"
    title = f"{summary['recipe']} ({summary['size']}, {data}): {headline} on the test split"
    table = Table(title=title, title_justify="left")
    table.add_column("system")
    for name in (headline, "95 % interval", "n", "stage seconds"):
        table.add_column(name, justify="right")
    systems = evaluation["systems"]
    for name in in_order(systems):
        seconds = summary["stages"].get(name, {}).get("seconds")
        table.add_row(name, *_cells(systems[name].get(headline)), "" if seconds is None else f"{seconds:.0f}")
    return table


def in_order(systems: Iterable[str]) -> list[str]:
    """Names of systems as tables list them."""
    names = set(systems)
    return [*(name for name in FIRST if name in names), *sorted(names - set(FIRST))]


def _cells(estimate: Mapping[str, Any] | None) -> tuple[str, str, str]:
    if estimate is None or estimate["mean"] is None:
        return "undefined", "", "0"
    interval = "" if estimate["low"] is None else f"{estimate['low']:.3f} to {estimate['high']:.3f}"
    return f"{estimate['mean']:.3f}", interval, str(estimate["n"])
