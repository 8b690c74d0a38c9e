"""What the Config of every stage that builds the recipe's model has in common."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import model_validator

from components.core.engine.phase import Phase
from components.core.engine.strategy import DECIDED, StageName, Strategy
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


class TrainingStageConfig(ModelStageConfig):
    """What the Config of every stage has that trains the recipe's model; the section of its phase has the stage's name.

    Attributes:
        strategy: Decides for all training stages together what trains, when and at which rates. What the stages'
            sections say of that then has no effect, and is not kept. None leaves it to the sections.
    """

    stage: ClassVar[StageName]
    strategy: Strategy | None = None

    @model_validator(mode="before")
    @classmethod
    def _the_strategy_decides(cls, values: Any) -> Any:
        section = values.get(cls.stage) if isinstance(values, Mapping) else None
        if not isinstance(section, Mapping) or values.get("strategy") is None:
            return values
        kept = {name: value for name, value in section.items() if name not in DECIDED}
        return {**values, cls.stage: {**kept, "epochs": 0}}

    def phases(self) -> list[Phase]:
        """What the stage trains, one after the other; at least one."""
        section: Phase = getattr(self, self.stage)
        return [section] if self.strategy is None else self.strategy.phases(self.stage, section)
