"""The recipe's values: everything freqmedclip is, without torch until it is built."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from components.core.augment.joint import Augment
from components.core.config import Values
from components.core.export.bundle import Bundle
from components.recipes.freqmedclip.baselines_config import BaselinesConfig
from components.recipes.freqmedclip.data import FreqMedClipData
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.predictor import FreqMedClipPredictor

if TYPE_CHECKING:
    from components.core.data.card import Card
    from components.recipes.freqmedclip.task import FreqMedClipTask


class FreqMedClip(Values):
    """Text-prompted segmentation with a frequency-aware BiomedCLIP and SAM.

    Attributes:
        data: Pictures, masks and texts.
        augment: What augmented views of the train split may differ in.
        model: The model.
        baselines: Yardsticks beside it in every table.
    """

    name: Literal["freqmedclip"] = "freqmedclip"
    data: FreqMedClipData = FreqMedClipData()
    augment: Augment = Augment()
    model: ModelConfig
    baselines: BaselinesConfig = BaselinesConfig()

    def encoder_values(self) -> dict[str, Any]:
        """The vision tower is that of CLIP."""
        return {"clip": self.model.clip.model_dump(mode="json"), "image_size": self.model.image_size}

    def missing_weights(self) -> list[str]:
        """Which pretrained weights are not on this machine, one line each."""
        return [line for line in (self.model.clip.missing(), self.model.sam.missing()) if line]

    def weight_files(self) -> dict[str, Path]:
        """Files and folders of pretrained weights by the keys that name them: `clip.folder`, `sam.file`."""
        towers = {"clip": self.model.clip.weight_files(), "sam": self.model.sam.weight_files()}
        return {f"{tower}.{key}": path for tower, files in towers.items() for key, path in files.items()}

    def untrained(self) -> "FreqMedClip":
        """The same recipe on the same architectures, all of them with random weights."""
        towers = {"clip": self.model.clip.untrained(), "sam": self.model.sam.untrained()}
        return self.model_copy(update={"model": self.model.model_copy(update=towers)})

    def build(self, card: "Card") -> "FreqMedClipTask":
        """The task: trains, predicts, is judged and exported; what the pictures show is asked by text."""
        from components.recipes.freqmedclip.task import FreqMedClipTask

        return FreqMedClipTask(self.model, self.augment, self.baselines)

    def predictor(self, bundle: Bundle) -> FreqMedClipPredictor:
        """What answers from a bundle. Needs onnxruntime; torch only for prompts the bundle does not know."""
        return FreqMedClipPredictor.open(bundle, self.model)
