"""Stage `evaluate`: judge every phase and the yardsticks on the test split, and write the report."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from components.core.stage import Stage
from components.evaluate.values import PHASES, Evaluate
from components.model_stage import ModelStageConfig

if TYPE_CHECKING:
    from components.evaluate.system import System
    from components.evaluate.systems import Judge


class Config(ModelStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "evaluate")

    evaluate: Evaluate = Evaluate()


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    warmup: Model folder of `warmup`.
    partial_unfreeze: Model folder of `partial_unfreeze`.
    end_to_end: Model folder of `end_to_end`.
    encoder: Model folder of `pretrain`, for its linear probe; optional.
    previous: `cases.csv` of an earlier evaluation, to compare with; optional.
    ensemble: Folder of exported bundles, whose averaged answers are judged too; optional.
    """

    dataset: Path
    warmup: Path
    partial_unfreeze: Path
    end_to_end: Path
    encoder: Path | None = None
    previous: Path | None = None
    ensemble: Path | None = None


@dataclass(frozen=True)
class Outputs:
    """Attributes:
    metrics: JSON of estimates by system and metric.
    report: One self-contained HTML file.
    cases: CSV of every score and the evidence of every case.
    classes: CSV of the true and the predicted class of every test case, by the shipped model; its heading alone where
        the recipe does not classify.
    """

    metrics: Path
    report: Path
    cases: Path
    classes: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    """Judge, then write the numbers, the cases and the report."""
    from components.core.checkpoint.model import read_record
    from components.core.data.dataset import Dataset
    from components.core.engine.training import fold_of
    from components.core.report.render import render
    from components.core.tracking.push import RunLabels
    from components.core.tracking.tracker import Tracker
    from components.evaluate.cases import cases_csv
    from components.evaluate.classes import classes_csv
    from components.evaluate.results import metrics, tabulate
    from components.evaluate.story import tell
    from components.evaluate.systems import Judge

    dataset = Dataset.open(inputs.dataset)
    task = config.recipe.build(dataset.card)
    values = config.evaluate
    labels = RunLabels(config.recipe.name, STAGE.name, config.seed, fold_of(dataset))
    models = {name: read_record(getattr(inputs, name))[1] for name in PHASES}
    with Tracker(config.runtime, labels) as tracker:
        judge = Judge(task, dataset, config.seed, config.runtime, values.batch_size, tracker)
        systems = _systems(judge, config, inputs, outputs)
        shipped = next(system for system in systems if system.name == PHASES[-1])
        confusion = task.confusion(shipped.cases)
        tables = tabulate(systems, task.statistics, config.seed, values.draws)
        numbers = metrics(systems, tables, models, task.headline, config.seed, values.draws, task.statistics, confusion)
        tracker.final({name: one["mean"] for name, one in numbers["systems"][PHASES[-1]].items() if one["n"]})
        outputs.metrics.write_text(json.dumps(numbers, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        outputs.cases.write_text(cases_csv(systems, confusion.labels if confusion else ()), encoding="utf-8")
        outputs.classes.write_text(classes_csv(shipped, task.confusion), encoding="utf-8")
        report = tell(judge, systems, tables, config.recipe.name, values, inputs.end_to_end, inputs.previous)
        outputs.report.write_text(render(report), encoding="utf-8")


def _systems(judge: "Judge", config: Config, inputs: Inputs, outputs: Outputs) -> "list[System]":
    """Everything that is judged, in the order in which it is told."""
    from components.evaluate.ensemble import ensemble_system

    values = config.evaluate
    systems = [judge.untrained()]
    systems += [judge.phase(name, getattr(inputs, name)) for name in PHASES]
    if values.tta is not None:
        systems.append(judge.augmented(inputs.end_to_end, values.tta))
    if inputs.ensemble is not None:
        systems.append(ensemble_system(judge.task, judge.dataset, inputs.ensemble, judge.tracker.heartbeat))
    systems += judge.controls(PHASES[-1], inputs.end_to_end)
    if values.probes:
        systems += judge.probes(inputs.encoder)
    if values.baselines:
        systems += judge.baselines()
        systems += judge.trained_baselines(STAGE.identity(config, inputs), outputs.metrics.parent)
    return systems


STAGE = Stage(
    name="evaluate",
    summary="Judge every phase and the yardsticks on the test split, and write the report.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
