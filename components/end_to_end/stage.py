"""Stage `end_to_end`: train the whole path from image to mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.engine.phase import Phase
from components.core.stage import Stage
from components.model_stage import ModelStageConfig


class Config(ModelStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "end_to_end")

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
    """Train the phase."""
    from components.core.engine.training import PhaseFiles, run_phase

    files = PhaseFiles(inputs.dataset, inputs.weights, outputs.model, outputs.metrics)
    run_phase(config.recipe, config.end_to_end, config.seed, config.runtime, STAGE.identity(config, inputs), files)


STAGE = Stage(
    name="end_to_end",
    summary="Train the whole path from image to mask.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    together=True,
)
