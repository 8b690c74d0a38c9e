"""The recipe's values: everything freqmedclip is, without torch until it is built."""

from typing import TYPE_CHECKING, Literal

from components.core.augment.joint import Augment
from components.core.config import Values
from components.recipes.freqmedclip.data import FreqMedClipData
from components.recipes.freqmedclip.model_config import ModelConfig

if TYPE_CHECKING:
    from components.recipes.freqmedclip.task import FreqMedClipTask


class FreqMedClip(Values):
    """Text-prompted segmentation with a frequency-aware BiomedCLIP and SAM.

    Attributes:
        data: Pictures, masks and texts.
        augment: What augmented views of the train split may differ in.
        model: The model.
    """

    name: Literal["freqmedclip"] = "freqmedclip"
    data: FreqMedClipData = FreqMedClipData()
    augment: Augment = Augment()
    model: ModelConfig

    def build(self) -> "FreqMedClipTask":
        """The task: trains, predicts, is judged and exported."""
        from components.recipes.freqmedclip.task import FreqMedClipTask

        return FreqMedClipTask(self.model, self.augment)
