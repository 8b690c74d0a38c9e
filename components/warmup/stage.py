"""Stage `warmup`: train the new modules while every pretrained tower stays frozen."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.engine.phase import Phase
from components.core.stage import Stage
from components.model_stage import TrainingStageConfig


class Config(TrainingStageConfig):
    """Values of the stage.

    Attributes:
        warmup: The phase.
        foreign_encoder: Take an encoder that was trained on another dataset, or another split of this one. What it saw
            may include pictures that this split tests on, so that the test says less than it seems to; the model
            records it. Decides whether the stage runs, not its result.
    """

    uses: ClassVar = ("seed", "recipe", "strategy", "warmup")
    stage: ClassVar = "warmup"

    warmup: Phase
    foreign_encoder: bool = False


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    encoder: Model folder of `pretrain`, to start from its encoder; optional.
    """

    dataset: Path
    encoder: Path | None = None


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

    files = PhaseFiles(inputs.dataset, inputs.encoder, outputs.model, outputs.metrics, foreign=config.foreign_encoder)
    run_phases(config.recipe, config.phases(), config.seed, config.runtime, STAGE.identity(config, inputs), files)


STAGE = Stage(
    name="warmup",
    summary="Train the new modules while every pretrained tower stays frozen.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    together=True,
)
