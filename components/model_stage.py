"""What the Config of every stage that builds the recipe's model has in common."""

from collections.abc import Mapping
from pathlib import Path

from components.core.stage import StageConfig
from components.recipes import AnyRecipe


class ModelStageConfig(StageConfig):
    """Attributes:
    seed: Training seed; random parts of the model are a pure function of it.
    recipe: What is trained.
    """

    seed: int = 0
    recipe: AnyRecipe

    def weight_files(self) -> Mapping[str, Path]:
        """Files of pretrained weights: their content is part of the stage's identity."""
        return self.recipe.weight_files()
