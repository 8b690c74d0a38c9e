"""The results of a study as tables, for a terminal and for a README."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAVY
from rich.table import Table
from rich.text import Text

from components import stages
from components.core.tracking.overview import show_bytes
from pipelines.study.results import LAST_PHASE
from pipelines.table import in_order

INTERVAL = "95 % interval"
SPREAD = "sd between seeds"


@dataclass(frozen=True)
class Sheet:
    """A table before it has a form.

    Attributes:
        texts: How many leading columns are words; the rest are numbers.
        note: One line below it.
        long: Columns that a terminal has no room for.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1
    note: str = ""
    long: frozenset[str] = frozenset()

    def table(self) -> Table:
        """For a terminal."""
        table = Table(title=Text(self.title), title_justify="left", box=SIMPLE_HEAVY, pad_edge=False)
        table.caption, table.caption_justify = (Text(self.note) if self.note else None), "left"
        shown = [number for number, name in enumerate(self.columns) if name not in self.long]
        for number in shown:
            heading = self.columns[number].replace("_", " ") if number else self.columns[number]  # so that it can wrap
            words = number < self.texts
            whole = 1 if words else max((len(row[number]) for row in self.rows), default=1)  # intervals stay on a line
            table.add_column(Text(heading), justify="left" if words else "right", overflow="fold", min_width=whole)
        for row in self.rows:
            table.add_row(*(Text(row[number]) for number in shown))
        return table

    def markdown(self) -> str:
        """For a README."""
        rule = ["---" if number < self.texts else "---:" for number in range(len(self.columns))]
        lines = [_line(self.columns), _line(rule), *map(_line, self.rows)]
        return "\n".join([f"**{self.title}**", "", *lines, *(["", self.note] if self.note else [])])


def sheets(results: Mapping[str, Any]) -> Iterator[Sheet]:
    """The comparisons, the systems behind them, and the cost."""
    if results["measures"]:
        yield _measures(results)
    if results["systems"]:
        yield _systems(results)
    yield _costs(results)


def _measures(results: Mapping[str, Any]) -> Sheet:
    rows = []
    for name, found in results["measures"].items():
        pair = f"{found['of']} minus {found['against']}"
        metric = found["metric"] if found["stage"] == "evaluate" else f"{found['metric']} of {found['stage']}"
        rows.append([name, pair, metric, *_estimate(found, signed=True)])
    plain = all(row[2] == results["headline"] for row in rows)
    return Sheet(
        f"{heading(results)}: differences{' in ' + results['headline'] if plain else ''}",
        ["question", "pair", "metric", "difference", INTERVAL, SPREAD, "n"],
        rows,
        texts=3,
        note="A difference is beyond chance, at the 5 % level, where its interval leaves 0 out.",
        long=frozenset({"pair", "metric"} if plain else {"pair"}),
    )


def _systems(results: Mapping[str, Any]) -> Sheet:
    """The last phase of every variant, and whatever a comparison asks about; all of them where there is none."""
    asked = {side for found in results["measures"].values() for side in (found["of"], found["against"])}
    rows = [
        [variant, name, *_estimate(systems[name])]
        for variant, systems in results["systems"].items()
        for name in in_order(systems)
        if not asked or name == LAST_PHASE or f"{variant}/{name}" in asked
    ]
    title = f"{heading(results)}: {results['headline']} on the test split"
    columns = ["variant", "system", results["headline"], INTERVAL, SPREAD, "n"]
    return Sheet(title, columns, rows, texts=2, note="Every system: study.json." if asked else "")


def _costs(results: Mapping[str, Any]) -> Sheet:
    costs = results["costs"]
    ran = [name for name in stages.NAMES if any(name in by_stage for by_stage in costs.values())]
    rows = [[variant, *_cost(by_stage, ran)] for variant, by_stage in costs.items()]
    return Sheet(
        "seconds of a run's stages, mean over the seeds, and the greatest memory of any",
        ["variant", *ran, "memory"],
        rows,
        note="A stage that several variants share was run once. >: a session was killed before its time was written.",
    )


def heading(results: Mapping[str, Any]) -> str:
    """What the numbers are of: recipe, size, seeds, and whether they say anything about patients."""
    seeds = len(results["seeds"])
    data = ", synthetic data" if results["synthetic"] else ""
    return f"{results['recipe']} ({results['size']}{data}), {seeds} seed{'s' if seeds != 1 else ''}"


def _estimate(found: Mapping[str, Any], signed: bool = False) -> list[str]:
    form = "+.3f" if signed else ".3f"
    mean = "undefined" if found["mean"] is None else f"{found['mean']:{form}}"
    interval = "" if found["low"] is None else f"{found['low']:{form}} to {found['high']:{form}}"
    spread = "" if found["sd_seeds"] is None else f"{found['sd_seeds']:.3f}"
    return [mean, interval, spread, str(found["n"])]


def _cost(by_stage: Mapping[str, Mapping[str, Any]], ran: Sequence[str]) -> Iterator[str]:
    for name in ran:
        cost = by_stage.get(name)
        yield "" if cost is None else f"{'>' if cost['lost'] else ''}{cost['seconds']:.0f}"
    yield show_bytes(max(cost["peak_bytes"] for cost in by_stage.values()))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _cell(text: str) -> str:
    """A bar would end the cell."""
    return text.replace("|", "\\|")
