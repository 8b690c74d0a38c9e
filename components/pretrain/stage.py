"""Stage `pretrain`: train a recipe's encoder without labels (SimCLR), where the recipe turns it on."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from components.core.contrastive.values import Pretrain
from components.core.stage import Stage
from components.model_stage import ModelStageConfig


class Config(ModelStageConfig):
    """Values of the stage."""

    uses: ClassVar = ("seed", "recipe", "pretrain")

    pretrain: Pretrain = Pretrain()

    def used(self) -> dict[str, Any]:
        """The values that change the result: of the recipe only those that decide its encoder.

        So that recipes, and variants of one, which differ in their heads, losses or augmentation share one
        pretraining. How pictures are read is decided by the dataset and by the encoder's values; the untrained
        encoder must be a function of its values and the seed alone.
        """
        return {**super().used(), "recipe": {"encoder": dict(self.recipe.encoder_values())}}


@dataclass(frozen=True)
class Inputs:
    """Attributes:
    dataset: Folder made by `prepare`.
    """

    dataset: Path


@dataclass(frozen=True)
class Outputs:
    """Attributes:
    encoder: Model folder: the encoder's weights, metadata, history. Without weights where the stage is off.
    metrics: JSON of the probe before and after.
    """

    encoder: Path
    metrics: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    """Train the encoder."""
    from components.core.contrastive.training import train_encoder
    from components.core.engine.training import PhaseFiles

    files = PhaseFiles(inputs.dataset, None, outputs.encoder, outputs.metrics)
    train_encoder(config.recipe, config.pretrain, config.seed, config.runtime, STAGE.identity(config, inputs), files)


STAGE = Stage(
    name="pretrain",
    summary="Train the encoder on the train pictures without their labels.",
    config=Config,
    inputs=Inputs,
    outputs=Outputs,
    run=run,
    together=True,
)
