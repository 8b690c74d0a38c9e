"""Augmentation of classification pictures in three severities; every number can be set by itself."""

from typing import Annotated, Any, Literal, TypeAlias

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import Field, model_validator

from components.core.augment.crop import Crop, View
from components.core.augment.joint import Image, resize_image
from components.core.augment.randomness import generator
from components.core.augment.simclr_colours import brighten, saturate, spread, turn_hue
from components.core.config import Values

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Strength: TypeAlias = Annotated[float, Field(ge=0)]

MODERATE: dict[str, Any] = {
    "rotation": 30.0,
    "brightness": 0.2,
    "contrast": 0.2,
    "saturation": 0.2,
    "hue": 0.05,
    "blur": 0.2,
}
AGGRESSIVE: dict[str, Any] = {**MODERATE, "operations": 2, "cutout": 0.5, "grid": 0.5}
LEVELS: dict[str, dict[str, Any]] = {"light": {}, "moderate": MODERATE, "aggressive": AGGRESSIVE}
"""What a level sets. `light` is the defaults of the fields."""


class Severity(Values):
    """How much views of a picture differ. The level gives every number that is not given beside it.

    `light`: random resized crop and left-right flip. `moderate`: also rotation, colour jitter and blur.
    `aggressive`: also RandAugment, grid distortion and cutout. In this order, but for RandAugment, which comes between
    geometry and colours; everything geometric outside of RandAugment is one resampling.

    Attributes:
        crop: Smallest share of the picture's area in a crop; the greatest is all of it. 1 with `proportions: 1` crops
            nothing.
        proportions: Greatest ratio of the shares of width and height in a crop (uniform in its logarithm, either side).
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        rotation: Greatest rotation to either side, degrees, in the picture's own proportions.
        border: What lies outside of the picture: its `mirror` image, or `black`.
        brightness: Greatest relative change of brightness.
        contrast: Greatest relative change of contrast about the mean grey.
        saturation: Greatest relative change of saturation. For grey pictures: 0.
        hue: Greatest turn of the hue to either side, in full turns.
        jitter: Probability that those four change.
        blur: Probability of a Gaussian blur.
        sigma: Least and greatest standard deviation of the blur, in shares of the view's side.
        operations: RandAugment: operations that a view goes through.
        magnitude: RandAugment: their strength, 0 to 30.
        cutout: Probability of a hole of the picture's mean colour.
        hole: Side of the hole as a share of the view's side.
        grid: Probability of a grid distortion.
        cells: Cells of the grid along a side.
        distortion: Greatest shift of a corner of a cell to either side, as a share of the cell.

    Source:
        Cubuk et al. 2020 (RandAugment, arXiv:1909.13719); DeVries and Taylor 2017 (cutout, arXiv:1708.04552).
    """

    level: Literal["light", "moderate", "aggressive"] = "light"
    crop: float = Field(default=0.5, gt=0, le=1)
    proportions: float = Field(default=4 / 3, ge=1)
    flip_horizontal: Share = 0.5
    flip_vertical: Share = 0.0
    rotation: float = Field(default=0.0, ge=0, le=180)
    border: Literal["mirror", "black"] = "mirror"
    brightness: float = Field(default=0.0, ge=0, lt=1)
    contrast: float = Field(default=0.0, ge=0, lt=1)
    saturation: Share = 0.0
    hue: float = Field(default=0.0, ge=0, le=0.5)
    jitter: Share = 0.8
    blur: Share = 0.0
    sigma: tuple[float, float] = (0.002, 0.01)
    operations: int = Field(default=0, ge=0, le=10)
    magnitude: int = Field(default=9, ge=0, le=30)
    cutout: Share = 0.0
    hole: float = Field(default=0.25, gt=0, le=1)
    grid: Share = 0.0
    cells: int = Field(default=5, ge=1, le=50)
    distortion: float = Field(default=0.3, ge=0, lt=0.5)

    @model_validator(mode="before")
    @classmethod
    def _numbers_of_the_level(cls, values: Any) -> Any:
        """Written out, so that a run records the numbers and not the name that once stood for them."""
        if not isinstance(values, dict):
            return values
        level = values.get("level", "light")
        return {**(LEVELS.get(level, {}) if isinstance(level, str) else {}), **values}

    @model_validator(mode="after")
    def _sigma_is_a_range(self) -> "Severity":
        low, high = self.sigma
        if not 0 < low <= high:
            raise ValueError(f"sigma must be two numbers above 0 in ascending order, got {[low, high]}")
        return self

    def apply(self, image: Image, size: int, seed: int, key: tuple[int, ...]) -> UInt8[np.ndarray, "size size 3"]:
        """One view of a picture, squashed to a square: a pure function of the arguments. Safe in threads.

        Args:
            image: RGB.
            size: Side of the view, pixels.
            seed: Seed of the augmentation.
            key: View key; the empty tuple is the picture as it is, only resized.
        """
        if not key:
            return resize_image(image, size)
        # A stream for each step: one changed number leaves the draws of all other steps as they were.
        geometry, policy, colours, finish = (generator(seed, *key, step) for step in range(4))
        view = self._geometry(geometry).apply(image, size)
        if self.operations:
            from components.core.augment.randaugment import rand_augment

            view = rand_augment(view, self.operations, self.magnitude, policy)
        return self._finish(self._colours(view, colours), finish)

    def _geometry(self, random: np.random.Generator) -> View:
        horizontal, vertical, distorts = random.random(3) < (self.flip_horizontal, self.flip_vertical, self.grid)
        crop = Crop.draw(random, self.crop, self.proportions)
        angle = random.uniform(-self.rotation, self.rotation)
        shifts = random.uniform(-self.distortion, self.distortion, (self.cells - 1, self.cells - 1, 2))
        return View(
            crop,
            mirrored=(bool(horizontal), bool(vertical)),
            degrees=float(angle),
            shifts=shifts.astype(np.float32) if distorts and self.cells > 1 else None,
            black=self.border == "black",
        )

    def _colours(self, view: Image, random: np.random.Generator) -> Image:
        happens, *numbers = random.random(5)
        if happens >= self.jitter:
            return view
        order = random.permutation(4)
        limits = (self.brightness, self.contrast, self.saturation, self.hue)
        changes = [limit * (2 * number - 1) for limit, number in zip(limits, numbers, strict=True)]
        for step in order:
            if changes[step]:
                view = turn_hue(view, changes[3]) if step == 3 else SCALED[step](view, 1 + changes[step])
        return view

    def _finish(self, view: Image, random: np.random.Generator) -> Image:
        blurs, width, cuts, down, across = random.random(5)
        size = len(view)
        if blurs < self.blur:
            sigma = size * (self.sigma[0] + width * (self.sigma[1] - self.sigma[0]))
            view = np.asarray(cv2.GaussianBlur(view, (0, 0), sigma), dtype=np.uint8)
        if cuts < self.cutout:
            half = self.hole * size / 2
            top, left = (max(0, round(middle * size - half)) for middle in (down, across))
            bottom, right = (min(size, round(middle * size + half)) for middle in (down, across))
            mean = np.rint(cv2.mean(view)[:3]).astype(np.uint8)
            view[top:bottom, left:right] = mean
        return view


SCALED = (brighten, spread, saturate)
"""Changes of colour by a factor, in the order of their limits."""
