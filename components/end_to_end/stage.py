"""Stage `end_to_end`: train the whole path from image to mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.engine.phase import Phase
from components.core.stage import Stage
from components.model_stage import TrainingStageConfig


class Config(TrainingStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "strategy", "end_to_end")
    stage: ClassVar = "end_to_end"

    end_to_end: Phase


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    weights: Model folder of `partial_unfreeze`.
    """

    dataset: Path
    weights: Path


@dataclass(frozen=True)
class Outputs:
    """Attributes:
    model: Model folder: weights, metadata, history.
    metrics: JSON of the validation metrics.
    """

    model: Path
    metrics: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    """Train the phase, or the legs that a strategy makes of it."""
    from components.core.engine.training import PhaseFiles, run_phases

    files = PhaseFiles(inputs.dataset, inputs.weights, outputs.model, outputs.metrics)
    run_phases(config.recipe, config.phases(), config.seed, config.runtime, STAGE.identity(config, inputs), files)


STAGE = Stage(
    name="end_to_end",
    summary="Train the whole path from image to mask.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    together=True,
)
