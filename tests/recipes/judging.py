"""Small prepared datasets for the tests of freqmedclip's judgement."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.core.augment.joint import Augment
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Ratios, Split
from components.core.models.clip_config import TinyClip
from components.core.models.sam_config import TinySam
from components.recipes.freqmedclip.data import FreqMedClipData
from components.recipes.freqmedclip.model_config import M2ibConfig, ModelConfig
from components.recipes.freqmedclip.synthetic import Synthetic
from components.recipes.freqmedclip.task import FreqMedClipTask

ONE = {1: "a lesion"}
TWO = {1: "a dark lesion", 2: "a bright lesion"}

MODEL = ModelConfig(
    clip=TinyClip(width=32, depth=2, heads=2, patch=8, joint=16),
    sam=TinySam(image_size=32, patch=8, width=32, depth=1, heads=2, prompt_width=32),
    image_size=32,
    refine_width=8,
    m2ib=M2ibConfig(block=0, steps=3, copies=2),
)

Mask = NDArray[np.uint8]


def task() -> FreqMedClipTask:
    return FreqMedClipTask(MODEL, Augment())


def synthetic(folder: Path, images: int = 24) -> Dataset:
    """The embedded data set, small: two targets per picture."""
    data = FreqMedClipData(synthetic=Synthetic(images=images, smallest=48, largest=64))
    return _prepared(data, None, folder)


def drawn(folder: Path, masks: Sequence[Mask], prompts: dict[int, str]) -> Dataset:
    """One case per mask, each its own patient; pictures show value 1 dark and value 2 bright on grey."""
    raw = folder / "raw"
    for name in ("images", "masks"):
        (raw / name).mkdir(parents=True)
    with (raw / "index.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "mask", "group", "stratum"])
        for number, mask in enumerate(masks):
            image = np.select([mask == 1, mask == 2], [20, 240], 130)
            image = image + np.random.default_rng(number).integers(-9, 10, mask.shape)
            Image.fromarray(np.repeat(image.astype(np.uint8)[..., None], 3, 2)).save(raw / f"images/{number}.png")
            Image.fromarray(mask).save(raw / f"masks/{number}.png")
            table.writerow([f"case-{number}", f"images/{number}.png", f"masks/{number}.png", f"p{number}", "tissue"])
    return _prepared(FreqMedClipData(layout="csv", prompts=prompts), raw, folder / "data")


def _prepared(data: FreqMedClipData, raw: Path | None, folder: Path) -> Dataset:
    ratios = Ratios(train=0.5, val=0.25, test=0.25)
    prepare(data, raw, Split(ratios=ratios), QuarantineLimits(), folder, recipe="freqmedclip", workers=0)
    return Dataset.open(folder)


def square(y: int, x: int, side: int = 12, shape: tuple[int, int] = (48, 64), value: int = 1) -> Mask:
    mask = np.zeros(shape, np.uint8)
    mask[y : y + side, x : x + side] = value
    return mask
