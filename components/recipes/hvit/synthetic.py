"""The embedded synthetic data set: drawn leaves with made-up diseases, some photographed more than once."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from pydantic import Field

from components.core.augment.randomness import generator
from components.core.config import Values
from components.core.data.describe import SYNTHETIC
from components.recipes.hvit.leaves import CONDITIONS, Leaf, photograph

NOTICE = f"""{SYNTHETIC} pictures of leaves drawn by a program. They show no plant and serve no diagnosis.
Classes: made-up conditions of the leaf. Licence: that of the program that drew them.
"""

SHOTS = (1, 1, 2, 3)
"""How often a leaf may be photographed. The third picture is an edited copy of the first: mirrored and brightened."""


class Synthetic(Values):
    """The embedded synthetic data set.

    Attributes:
        images: Number of labelled pictures.
        unlabelled: Number of further pictures without a label, of leaves of their own.
        size: Side of the square pictures, pixels.
        classes: How many conditions: of healthy, spots, rings, blight and mosaic the first so many.
        seed: Seed of all of them.
    """

    images: int = Field(default=160, ge=12)
    unlabelled: int = Field(default=40, ge=0)
    size: int = Field(default=96, ge=32, le=1024)
    classes: int = Field(default=5, ge=2, le=len(CONDITIONS))
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Shot:
    """One picture: which leaf, and its how-manieth photograph, counted from 0."""

    leaf: int
    number: int
    labelled: bool


def shots(settings: Synthetic) -> Iterator[Shot]:
    """The pictures in order: labelled ones first; leaf k has condition k modulo the classes."""
    leaf = 0
    for count, labelled in ((settings.images, True), (settings.unlabelled, False)):
        left = count
        while left:
            several = min(left, int(generator(settings.seed, 0, leaf).choice(SHOTS)))
            yield from (Shot(leaf, number, labelled) for number in range(several))
            left, leaf = left - several, leaf + 1


def condition(settings: Synthetic, leaf: int) -> str:
    """The leaf's class."""
    return CONDITIONS[leaf % settings.classes]


def draw(settings: Synthetic, shot: Shot) -> UInt8[np.ndarray, "s s 3"]:
    """One picture: a pure function of the seed, the size and the shot."""
    edited = shot.number == max(SHOTS) - 1
    leaf = Leaf.grown(generator(settings.seed, 1, shot.leaf), condition(settings, shot.leaf))
    random = generator(settings.seed, 2, shot.leaf, 0 if edited else shot.number)
    picture = photograph(leaf, random, settings.size)
    if not edited:
        return picture
    brighter = np.clip(picture[:, ::-1].astype(np.int64) + 25, 0, 255)
    return np.ascontiguousarray(brighter.astype(np.uint8))


def write(settings: Synthetic, folder: Path) -> None:
    """Write `images/`, `index.csv` and SOURCE.txt, in the layout `csv`; the leaf is the group."""
    (folder / "images").mkdir(parents=True)
    (folder / "SOURCE.txt").write_text(NOTICE, encoding="utf-8")
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "label", "group"])
        for index, shot in enumerate(shots(settings)):
            name = f"synthetic-{index:04d}"
            Image.fromarray(draw(settings, shot)).save(folder / "images" / f"{name}.png", compress_level=1)
            label = condition(settings, shot.leaf) if shot.labelled else ""
            table.writerow([name, f"images/{name}.png", label, f"leaf-{shot.leaf:04d}"])
