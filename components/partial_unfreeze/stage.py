"""Stage `partial_unfreeze`: thaw the last blocks of the encoder and train them with the new modules."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.core.engine.phase import Phase
from components.core.stage import Stage, StageConfig
from components.recipes import AnyRecipe


class Config(StageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "partial_unfreeze")

    seed: int = 0
    recipe: AnyRecipe
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
    """Train the phase."""
    from components.core.engine.training import run_phase  # noqa: PLC0415  torch is imported when the stage runs

    run_phase(
        task=config.recipe.build(),
        recipe=config.recipe,
        phase=config.partial_unfreeze,
        seed=config.seed,
        runtime=config.runtime,
        identity=STAGE.identity(config, inputs),
        dataset=inputs.dataset,
        start=inputs.weights,
        model=outputs.model,
        metrics=outputs.metrics,
    )


STAGE = Stage(
    name="partial_unfreeze",
    summary="Thaw the last blocks of the encoder and train them with the new modules.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
)
