"""The recipe's values: everything ct_abnormality is, without torch until it is built."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.core.config import Values
from components.core.export.bundle import Bundle
from components.recipes.ct_abnormality.augment_config import CtAugment
from components.recipes.ct_abnormality.data import CtData
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.predictor import CtPredictor

if TYPE_CHECKING:
    from components.core.data.card import Card
    from components.recipes.ct_abnormality.task import CtTask


class CtAbnormality(Values):
    """Several abnormalities at once from the slices of a chest CT, by any backbone of timm with attention over slices.

    Attributes:
        data: Volumes, their labels, and how slices are cut of them.
        augment: What augmented views of the train split may differ in.
        model: The model.
    """

    name: Literal["ct_abnormality"] = "ct_abnormality"
    data: CtData = CtData()
    augment: CtAugment = CtAugment()
    model: ModelConfig = ModelConfig()

    def encoder_values(self) -> dict[str, Any]:
        """The backbone and the slices it sees: neither the head nor the labels enter pre-training."""
        return {"backbone": self.model.backbone.model_dump(mode="json"), "image_size": self.model.image_size}

    def missing_weights(self) -> list[str]:
        """Which pretrained weights are not on this machine, one line each."""
        return [line for line in (self.model.backbone.missing(),) if line]

    def weight_files(self) -> dict[str, Path]:
        """Files of pretrained weights by the keys that name them."""
        return {f"backbone.{key}": path for key, path in self.model.backbone.weight_files().items()}

    def untrained(self) -> "CtAbnormality":
        """The same recipe on the same architecture with random weights."""
        model = self.model.model_copy(update={"backbone": self.model.backbone.untrained()})
        return self.model_copy(update={"model": model})

    def build(self, card: "Card") -> "CtTask":
        """The task: trains, predicts, is judged and exported; it has as many labels as the card names."""
        from components.recipes.ct_abnormality.task import CtTask

        return CtTask(self.model, self.augment, card)

    def predictor(self, bundle: Bundle) -> CtPredictor:
        """What answers from a bundle. Needs onnxruntime, no torch."""
        return CtPredictor.open(bundle)
