"""What a phase is refused before anything is computed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.models.sam_config import CheckpointSam, UntrainedSam
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.task import FreqMedClipTask

WARMUP = {"seg": 1.0, "hinge": 1.0}
PARTIAL = {**WARMUP, "contrastive": 0.3, "sharpness": 0.2}
END_TO_END = {"sam_seg": 1.0, "hinge": 1.0, "saliency": 0.5, "prompt_quality": 0.3, "consistency": 0.2}
FREQUENCY = {"saliency_head", "fusion_gate", "freq_projection"}
SAM = {"sam.decoder", "sam.neck", "sam.prompt"}

Make = Callable[[ModelConfig], FreqMedClipTask]


def test_check(task: FreqMedClipTask, dataset: Dataset) -> None:
    examples = task.examples(dataset, "train")
    task.check({**PARTIAL, **END_TO_END}, examples, SAM)
    with pytest.raises(BadInput, match="did you mean 'saliency'"):
        task.check({"salency": 1.0}, examples, FREQUENCY)
    with pytest.raises(BadInput, match="weight of 'seg'"):
        task.check({"seg": -1.0}, examples, FREQUENCY)
    examples.captions = examples.captions[:1]
    task.check({"contrastive": 0.0}, examples, FREQUENCY)
    with pytest.raises(BadInput, match="two distinct captions"):
        task.check({"contrastive": 0.3}, examples, FREQUENCY)


def test_a_random_sam_must_be_taught(config: ModelConfig, make_task: Make, dataset: Dataset) -> None:
    """Its masks would be noise, and noise would be what the terms that read them teach."""
    examples = make_task(config).examples(dataset, "train")
    pretrained = CheckpointSam(file=Path("sam.pth"))
    for sam in (config.sam, UntrainedSam()):
        task = make_task(config.model_copy(update={"sam": sam}))
        task.check(END_TO_END, examples, FREQUENCY | SAM)
        task.check(WARMUP, examples, FREQUENCY)
        task.check({**END_TO_END, "sam_seg": 0.0, "consistency": 0.0}, examples, FREQUENCY)
        for part in sorted(SAM):
            with pytest.raises(BadInput, match=f"{part} would stay so, so that sam_seg, consistency teach noise"):
                task.check(END_TO_END, examples, FREQUENCY | SAM - {part})
    for sam in (pretrained, pretrained.untrained()):  # the second stands in for the first in rehearsals
        make_task(config.model_copy(update={"sam": sam})).check(END_TO_END, examples, FREQUENCY)
