"""Stage `partial_unfreeze`: thaw the last blocks of the encoder and train them with the new modules."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.engine.phase import Phase
from components.core.stage import Stage
from components.model_stage import TrainingStageConfig


class Config(TrainingStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "strategy", "partial_unfreeze")
    stage: ClassVar = "partial_unfreeze"

    partial_unfreeze: Phase


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    weights: Model folder of `warmup`.
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
    name="partial_unfreeze",
    summary="Thaw the last blocks of the encoder and train them with the new modules.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    together=True,
)
