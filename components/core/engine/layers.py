"""The layers of one model by part and by group, and what a phase's keys mean on it."""

from collections.abc import Collection
from dataclasses import dataclass

from torch import nn

from components.core.engine.compiling import compile_layers
from components.core.engine.groups import Groups, Parts, freeze, layer_rates, owners, parts_of, set_train_mode
from components.core.engine.phase import Phase
from components.core.engine.task import Grouped, Task


@dataclass(frozen=True)
class Layers:
    """A model's layers.

    Attributes:
        parts: Prefixes of tensor names by part, from head to stem.
        groups: Parts by layer group; empty where the recipe has none.
        owned: Owning part by tensor name.
    """

    model: nn.Module
    parts: Parts
    groups: Groups
    owned: dict[str, str]

    @staticmethod
    def of(task: Task, model: nn.Module) -> "Layers":
        """The layers of a model as its recipe names them."""
        parts = task.parts(model)
        groups = task.groups(model) if isinstance(task, Grouped) else {}
        return Layers(model, parts, groups, owners(model, parts))

    def rates(self, phase: Phase) -> dict[str, float]:
        """Learning rate by part that trains in a phase. Raises BadInput naming a key that means none."""
        return layer_rates(self.model, self.owned, self.parts, phase, self.groups)

    def new(self, phase: Phase) -> frozenset[str]:
        """Parts that begin to train in a leg of a longer run; those of a phase by itself are all new."""
        keys = phase.course.new if phase.course else phase.trainable
        return frozenset(part for key in keys for part in parts_of(key, list(self.parts), self.groups))

    def thaw(self, trainable: Collection[str]) -> None:
        """Let some parts train: gradients, dropout and batch statistics. All others are frozen."""
        freeze(self.model, self.owned, trainable)
        set_train_mode(self.model)

    def compile(self, trainable: Collection[str], kind: str) -> None:
        """Have the layers of some parts compiled for a kind of device. Raises BadInput where that is impossible."""
        roots = [root for name, roots in self.parts.items() if name in trainable for root in roots]
        compile_layers(self.model, roots, kind)
