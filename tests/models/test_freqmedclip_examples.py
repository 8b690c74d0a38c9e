"""The samples of a split as tensors: fields, one view for all of them, and the digest that caches go by."""

import numpy as np
import pytest
import torch

from components.core.augment.joint import Augment
from components.core.data.dataset import Dataset
from components.core.models.clip_config import CLIP_MEAN, CLIP_STD
from components.recipes.freqmedclip.examples import FIELDS
from components.recipes.freqmedclip.model_config import ModelConfig
from components.recipes.freqmedclip.task import FreqMedClipTask


def test_examples(task: FreqMedClipTask, dataset: Dataset) -> None:
    examples = task.examples(dataset, "train")
    batch = examples.load(range(4), [()] * 4, FIELDS)
    assert examples.ids == [sample for sample in examples.ids if "#" in sample]
    assert batch["image"].shape == (4, 3, 32, 32)
    assert batch["sam_image"].shape == (4, 3, 32, 32)
    assert batch["mask"].shape == (4, 1, 32, 32)
    assert set(batch["mask"].unique().tolist()) <= {0.0, 1.0}
    assert batch["row"].tolist() == [0, 1, 2, 3]
    assert examples.prompts[int(batch["prompt"][0])] != examples.prompts[int(batch["prompt"][1])]
    rgb = batch["image"] * torch.tensor(CLIP_STD)[:, None, None] + torch.tensor(CLIP_MEAN)[:, None, None]
    assert rgb.min() > -1e-5
    assert rgb.max() < 1 + 1e-5
    case = examples.ids[0].split("#")[0]
    native = np.asarray(dataset.array(case, "mask"))
    assert float(batch["mask"][0].mean()) == pytest.approx((native == 1).mean(), abs=0.02)
    assert set(examples.load([1], [()], frozenset({"prompt"}))) == {"row", "prompt"}
    with pytest.raises(ValueError, match="unknown fields"):
        examples.load([0], [()], frozenset({"imag"}))


def test_both_pictures_and_the_mask_are_one_view(config: ModelConfig, dataset: Dataset) -> None:
    quiet = Augment(flip_horizontal=1.0, gamma=0, contrast=0, speckle=0)
    examples = FreqMedClipTask(config, quiet).examples(dataset, "train")
    one = examples.load([0, 0], [(7,), (8,)], frozenset({"image", "mask", "sam_image"}))
    again = examples.load([0], [(8,)], frozenset({"image", "mask", "sam_image"}))
    assert not torch.equal(one["image"][0], one["image"][1])
    assert torch.equal(one["image"][1:], again["image"])
    assert torch.equal(one["mask"][1:], again["mask"])
    clip_grey, sam_grey = one["image"].mean(dim=1).flatten(1), one["sam_image"].mean(dim=1).flatten(1)
    for i in range(2):
        assert float(torch.corrcoef(torch.stack([clip_grey[i], sam_grey[i]]))[0, 1]) > 0.99


def test_digest_follows_what_decides_the_features(config: ModelConfig, dataset: Dataset) -> None:
    first = FreqMedClipTask(config, Augment()).examples(dataset, "train").digest
    assert first == FreqMedClipTask(config, Augment()).examples(dataset, "train").digest
    others = [
        FreqMedClipTask(config, Augment(rotation=3)).examples(dataset, "train").digest,
        FreqMedClipTask(config, Augment()).examples(dataset, "val").digest,
        FreqMedClipTask(config.model_copy(update={"image_size": 64}), Augment()).examples(dataset, "train").digest,
    ]
    assert len({first, *others}) == 1 + len(others)
