"""The recipe's values: everything hvit is, without torch until it is built."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.core.augment.severity import Severity
from components.core.config import Values
from components.core.export.bundle import Bundle
from components.recipes.hvit.data import HVitData
from components.recipes.hvit.fraction import Labels
from components.recipes.hvit.model_config import ModelConfig
from components.recipes.hvit.predictor import HVitPredictor

if TYPE_CHECKING:
    from components.core.data.card import Card
    from components.recipes.hvit.task import HVitTask


class HVit(Values):
    """Classification of pictures by a hierarchical vision transformer, or any other backbone of timm, with DFCA.

    Attributes:
        data: Pictures and their classes.
        labels: How many of the train split's labels fine-tuning may see.
        augment: What augmented views of the train split may differ in.
        model: The model.
    """

    name: Literal["hvit"] = "hvit"
    data: HVitData = HVitData()
    labels: Labels = Labels()
    augment: Severity = Severity()
    model: ModelConfig = ModelConfig()

    def encoder_values(self) -> dict[str, Any]:
        """The backbone and the pictures it sees: neither the head nor the labels enter pre-training."""
        return {"backbone": self.model.backbone.model_dump(mode="json"), "image_size": self.model.image_size}

    def missing_weights(self) -> list[str]:
        """Which pretrained weights are not on this machine, one line each."""
        return [line for line in (self.model.backbone.missing(),) if line]

    def weight_files(self) -> dict[str, Path]:
        """Files of pretrained weights by the keys that name them."""
        return {f"backbone.{key}": path for key, path in self.model.backbone.weight_files().items()}

    def untrained(self) -> "HVit":
        """The same recipe on the same architecture with random weights."""
        model = self.model.model_copy(update={"backbone": self.model.backbone.untrained()})
        return self.model_copy(update={"model": model})

    def build(self, card: "Card") -> "HVitTask":
        """The task: trains, predicts, is judged and exported; it has as many classes as the card names."""
        from components.recipes.hvit.task import HVitTask

        return HVitTask(self.model, self.augment, self.labels, card)

    def predictor(self, bundle: Bundle) -> HVitPredictor:
        """What answers from a bundle. Needs onnxruntime, no torch."""
        return HVitPredictor.open(bundle)
