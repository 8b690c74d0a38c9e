"""Yardsticks of freqmedclip that need no training loop, judged on the test split like the model."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from components.core.augment.joint import resize_image
from components.core.baselines import constant_mask, otsu
from components.core.baselines.all_foreground import AllForeground
from components.core.data.dataset import Dataset
from components.core.models.clip import ClipTower, normalise
from components.core.models.clip_config import TinyClip, UntrainedClip
from components.recipes.contract import Baseline, CasePrediction
from components.recipes.freqmedclip.baselines_config import BaselinesConfig
from components.recipes.freqmedclip.data import Sample, prompts_of, samples
from components.recipes.freqmedclip.m2ib import m2ib_saliency
from components.recipes.freqmedclip.maps import stretch
from components.recipes.freqmedclip.model_config import M2ibConfig, ModelConfig, Prompting
from components.recipes.freqmedclip.prompts import binarise
from components.recipes.freqmedclip.scoring import Answer, Target, find_target, judge, prompt_boxes

M2IB = "m2ib zero-shot"
NO_MEANING = " (no meaning: random weights)"

log = logging.getLogger(__name__)


class Predictor(Protocol):
    """One of `components.core.baselines`, fitted."""

    def predict(self, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Image uint8 [h, w, 3] to mask bool [h, w]."""


@dataclass
class MaskBaseline:
    """Something that sees the picture alone, fitted apart for every target.

    Attributes:
        fit: (dataset, mask value) to a predictor. It sees the train and val splits.
        prompting: How many of the mask's components count as boxes.
    """

    name: str
    fit: Callable[[Dataset, int], Predictor]
    prompting: Prompting

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Fit, then judge every test sample. Raises BadInput where the train split holds nothing of a target."""
        prompts = prompts_of(dataset)
        fitted = {value: self.fit(dataset, value) for value in sorted(prompts)}
        found = []
        for sample in samples(dataset.rows("test"), prompts):
            target = find_target(dataset, sample.id)
            mask = fitted[sample.value].predict(target.image)
            found.append(judge(target, Answer(mask, prompt_boxes(mask, self.prompting, *mask.shape))))
        return found


def fit_constant_mask(dataset: Dataset, value: int) -> constant_mask.ConstantMask:
    """Mean of the train masks; the threshold is val's best, or train's where val holds nothing of the target.

    Raises:
        BadInput: The train split holds nothing of the target.
    """
    train, validation = list(_truths(dataset, "train", value)), list(_truths(dataset, "val", value))
    if not any(mask.any() for mask in validation):
        log.warning("no validation mask holds value %d: the constant mask's threshold is chosen on train", value)
        validation = train
    return constant_mask.fit(train, validation)


def fit_otsu(dataset: Dataset, value: int) -> otsu.Otsu:
    """The side of the threshold that is better on train.

    Raises:
        BadInput: The train split holds nothing of the target.
    """
    images = (np.asarray(dataset.array(row.id, "image")) for row in dataset.rows("train"))
    return otsu.fit(zip(images, _truths(dataset, "train", value), strict=True))


def _truths(dataset: Dataset, split: str, value: int) -> Iterator[NDArray[np.bool_]]:
    return (np.asarray(dataset.array(row.id, "mask")) == value for row in dataset.rows(split))


@dataclass
class M2ibZeroShot:
    """M2IB's saliency of a CLIP that saw no mask, split by Otsu's threshold of each map.

    Attributes:
        build: Builds the CLIP; called once per `predict`.
        batch_size: Pictures per batch; the result does not depend on it, beyond rounding.
        device: Where it computes, as torch names it.
    """

    name: str
    build: Callable[[], ClipTower]
    config: M2ibConfig
    prompting: Prompting
    batch_size: int = 4
    device: str = "cpu"

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Judge every test sample. Raises BadInput where the tower has no such block."""
        asked = samples(dataset.rows("test"), prompts_of(dataset))
        clip = self.build().to(self.device).eval().requires_grad_(False)
        texts = self._texts(clip, asked)
        found = []
        for numbers in _chunks(range(len(asked)), self.batch_size):
            targets = [find_target(dataset, asked[number].id) for number in numbers]
            image = torch.stack([_picture(target, clip.image_size) for target in targets]).to(self.device)
            text = torch.stack([texts[asked[number].prompt] for number in numbers])
            maps = m2ib_saliency(clip, image, text, numbers, self.config).cpu().numpy()
            found += [judge(target, self._answer(target, one)) for target, one in zip(targets, maps, strict=True)]
        return found

    @torch.no_grad()
    def _texts(self, clip: ClipTower, asked: Sequence[Sample]) -> dict[str, Tensor]:
        """Embeddings [j] of the distinct prompts."""
        prompts = sorted({sample.prompt for sample in asked})
        if not prompts:
            return {}
        embedded = clip.text(clip.tokenise(prompts).to(self.device))
        return dict(zip(prompts, embedded, strict=True))

    def _answer(self, target: Target, information: Float[np.ndarray, "g g"]) -> Answer:
        """Information is in nats without an upper bound: each map is brought to [0, 1] by its own extremes."""
        lowest, span = information.min(), float(np.ptp(information))
        relative = (information - lowest) / span if span > 0 else np.zeros_like(information)
        height, width = target.truth.shape
        saliency = stretch(relative.astype(np.float32), height, width)
        prompting = self.prompting.model_copy(update={"binarise": "otsu"})
        mask = binarise(saliency, prompting)
        return Answer(mask, prompt_boxes(mask, prompting, height, width), saliency)


def _chunks(numbers: range, size: int) -> Iterator[list[int]]:
    rest = iter(numbers)
    while chunk := list(islice(rest, size)):
        yield chunk


def _picture(target: Target, size: int) -> Float[Tensor, "3 s s"]:
    """The picture as the model sees it without augmentation."""
    small = torch.from_numpy(resize_image(target.image, size))
    return normalise(small.permute(2, 0, 1).float() / 255)


def untrained_clip(config: ModelConfig, seed: int) -> ClipTower:
    """The CLIP of `components.recipes.freqmedclip.model.build_model`, without the rest of that model."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return config.clip.build(config.image_size)


def yardsticks(
    config: BaselinesConfig,
    model: ModelConfig,
    seed: int,
    device: str,
) -> list[Baseline]:
    """The yardsticks that the configuration names, in its order.

    Args:
        model: The recipe's model, for its CLIP and its prompting.
        seed: Seed of a random CLIP.
        device: Where M2IB computes, as torch names it.
    """
    fits: dict[str, Callable[[Dataset, int], Predictor]] = {
        "all_foreground": lambda *_: AllForeground(),
        "constant_mask": fit_constant_mask,
        "otsu": fit_otsu,
    }
    zero_shot = M2ibZeroShot(
        name=M2IB + (NO_MEANING if isinstance(model.clip, TinyClip | UntrainedClip) else ""),
        build=lambda: untrained_clip(model, seed),
        config=model.m2ib,
        prompting=model.prompting,
        batch_size=config.m2ib_batch,
        device=device,
    )
    return [MaskBaseline(name, fits[name], model.prompting) if name in fits else zero_shot for name in config.names]
