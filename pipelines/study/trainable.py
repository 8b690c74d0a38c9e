"""How many parameters train in which epoch: what strategies of unfreezing differ in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from components import stages
from components.cli.values import configure
from components.core.checkpoint.model import read_record
from components.core.data.dataset import Dataset
from components.core.engine.announce import count_parameters
from components.core.engine.groups import owners
from components.core.engine.progress import RATE
from components.evaluate.values import PHASES
from components.recipes.contract import Recipe
from pipelines.local import Run, output_in
from pipelines.study.picture import STYLE, png

COLOURS = ("#2f7fc1", "#c2571a", "#2b8a57", "#a8559f", "#8a7300", "#5b6ee1")
DASHES = ("-", "--", ":")
"""More variants than colours are told apart by these."""

THICK, THIN = 4.0, 1.4
"""Widths of the first and of the last line, in points."""


@dataclass(frozen=True)
class Phase:
    """Trainable parameters of one phase by epoch."""

    name: str
    counts: Sequence[int]


def trainable_by_epoch(run: Run, summary: Mapping[str, Any]) -> list[Phase]:
    """What trained in each epoch of each phase, read from the histories that the models carry.

    Args:
        run: The study's run.
        summary: Its summary.
    """
    done = [name for name in PHASES if name in summary["stages"]]
    if not done:
        return []
    counts = _parameters(run, run.out / summary["stages"]["prepare"]["folder"], done[0])
    phases = []
    for name in done:
        record, _ = read_record(output_in(run.out / summary["stages"][name]["folder"], "model"))
        phases.append(Phase(name, [_trainable(row, counts) for row in record.meta.history]))
    return phases


def _parameters(run: Run, prepared: Path, stage: str) -> dict[str, int]:
    """Parameters of the model by part."""
    config: Any = configure(stages.load(stage), dict(run.values), run.source)
    recipe: Recipe = config.recipe
    task = recipe.build(Dataset.open(output_in(prepared, "dataset")).card)
    model = task.build_model(config.seed)
    return count_parameters(model, owners(model, task.parts(model)))


def _trainable(row: Mapping[str, Any], counts: Mapping[str, int]) -> int:
    return sum(counts.get(key.removeprefix(RATE), 0) for key in row if key.startswith(RATE))


def paint_trainable(variants: Mapping[str, Sequence[Phase]]) -> bytes:
    """The picture as PNG: one line per kind of training, epochs of all phases one after the other."""
    lines: dict[tuple[int, ...], list[str]] = {}
    for variant, phases in variants.items():
        counts = tuple(count for phase in phases for count in phase.counts)
        lines.setdefault(counts, []).append(variant)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.4, 3.6), layout="constrained")
        axes = figure.subplots()
        for number, (counts, names) in enumerate(lines.items()):
            colour, dashes = COLOURS[number % len(COLOURS)], DASHES[number // len(COLOURS) % len(DASHES)]
            label = ", ".join(names)
            width = THICK - (THICK - THIN) * number / max(1, len(lines) - 1)  # what lies below stays visible
            axes.stairs(counts, label=label, baseline=None, linewidth=width, color=colour, linestyle=dashes)
        axes.set_title("trainable parameters by epoch, all phases one after the other", loc="left", fontsize=9)
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.grid(axis="y", alpha=0.25)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
        return png(figure)
