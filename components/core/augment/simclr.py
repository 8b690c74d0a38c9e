"""The views of SimCLR: of one picture, two crops that differ in everything but what they show."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Annotated, ClassVar, Literal, TypeAlias

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import Field, model_validator

from components.core.augment.joint import Image, resize_image
from components.core.augment.randomness import generator
from components.core.augment.simclr_colours import brighten, grey, saturate, spread, turn_hue
from components.core.config import Values

TRIES = 10
"""Crops drawn before a picture that none of them fits is cropped in its middle, as torchvision does."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Change: TypeAlias = Callable[[Image], Image]
Crop: TypeAlias = tuple[int, int, int, int]
"""Top, left, height, width."""


class Views(Values):
    """What two views of one picture may differ in, whatever its colours. Ranges are drawn from uniformly.

    Crop, flip, jitter in a random order, grey, blur, as in the paper; but a crop holds a fifth of the picture at least
    (0.08 there), because what a medical picture is about may be small.

    Attributes:
        crop: Smallest share of the picture's area in a crop; the greatest is all of it.
        proportions: Greatest ratio of a crop's sides (uniform in its logarithm, to either side).
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        jitter: Probability that brightness and contrast (and colours) change.
        brightness: Greatest relative change of brightness: 0.8 is a factor from 0.2 to 1.8 (never below 0).
        contrast: The same of the distance from the view's mean grey value.
        blur: Probability of a Gaussian blur.
        sigma: Least and greatest standard deviation of the blur, pixels of the view.

    Source:
        Chen et al., ICML 2020, arXiv:2002.05709, appendix A.
    """

    drawn: ClassVar[int] = 2 * TRIES + 16
    """Uniform numbers of a view, whatever becomes of them: another value of one key leaves the others' effect."""

    crop: float = Field(default=0.2, gt=0, le=1)
    proportions: float = Field(default=4 / 3, ge=1)
    flip_horizontal: Share = 0.5
    flip_vertical: Share = 0.0
    jitter: Share = 0.8
    brightness: float = Field(default=0.8, ge=0)
    contrast: float = Field(default=0.8, ge=0)
    blur: Share = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    @model_validator(mode="after")
    def _sigma_ascends(self) -> "Views":
        low, high = self.sigma
        if not 0 < low <= high:
            raise ValueError(f"sigma must be two numbers above 0, the smaller one first, got {[low, high]}")
        return self

    def apply(self, image: Image, size: int, seed: int, key: tuple[int, ...]) -> UInt8[np.ndarray, "size size 3"]:
        """One view of a picture: a pure function of the arguments, safe in threads.

        Args:
            image: RGB.
            size: Side of the view, pixels.
            seed: Seed of the augmentation.
            key: View key; the empty tuple is the picture as it is, squashed to a square.
        """
        if not key:
            return resize_image(image, size)
        random = iter(generator(seed, *key).random(self.drawn).tolist())
        top, left, height, width = crop_of(image.shape[0], image.shape[1], self.crop, self.proportions, random)
        view = _squash(image[top : top + height, left : left + width], size)
        flips = next(random) < self.flip_horizontal, next(random) < self.flip_vertical
        view = _flip(view, *flips)
        strengths, order = [next(random) for _ in range(4)], [next(random) for _ in range(4)]
        if next(random) < self.jitter:
            changes: list[Change] = [
                partial(brighten, factor=factor(self.brightness, strengths[0])),
                partial(spread, factor=factor(self.contrast, strengths[1])),
                *self._tints(strengths[2:]),
            ]
            for place in sorted(range(len(changes)), key=order.__getitem__):
                view = changes[place](view)
        view = self._drained(view, next(random))
        blurred, width_of_blur = next(random), next(random)
        if blurred < self.blur:
            sigma = self.sigma[0] + (self.sigma[1] - self.sigma[0]) * width_of_blur
            view = np.asarray(cv2.GaussianBlur(view, (0, 0), sigma), dtype=np.uint8)
        return view

    @abstractmethod
    def _tints(self, drawn: Sequence[float]) -> list[Change]:
        """Changes of colour, from two uniform numbers."""

    @abstractmethod
    def _drained(self, view: Image, drawn: float) -> Image:
        """The view, or its luminance alone, from a uniform number."""


class ColourViews(Views):
    """Views of pictures in colour.

    Attributes:
        saturation: Greatest relative change of saturation.
        hue: Greatest turn of the hue to either side; 0.5 is any hue.
        grey: Probability that the colours go.
    """

    preset: Literal["colour"] = "colour"
    saturation: float = Field(default=0.8, ge=0)
    hue: float = Field(default=0.2, ge=0, le=0.5)
    grey: Share = 0.2

    def _tints(self, drawn: Sequence[float]) -> list[Change]:
        turned = partial(turn_hue, turn=self.hue * (2 * drawn[1] - 1))
        return [partial(saturate, factor=factor(self.saturation, drawn[0])), turned]

    def _drained(self, view: Image, drawn: float) -> Image:
        return grey(view) if drawn < self.grey else view


class GreyViews(Views):
    """Views of grey pictures (CT, ultrasound): there are no colours to change."""

    preset: Literal["grey"] = "grey"

    def _tints(self, drawn: Sequence[float]) -> list[Change]:
        return []

    def _drained(self, view: Image, drawn: float) -> Image:
        return view


AnyViews: TypeAlias = Annotated[ColourViews | GreyViews, Field(discriminator="preset")]


def factor(change: float, drawn: float) -> float:
    """A factor within `change` of 1, not below 0, from a uniform number."""
    low = max(0.0, 1 - change)
    return low + (1 + change - low) * drawn


def crop_of(height: int, width: int, smallest: float, proportions: float, random: Iterator[float]) -> Crop:
    """A crop of uniform area and log-uniform proportions, anywhere in the picture.

    Args:
        height: Of the picture, pixels.
        width: The same.
        smallest: Least share of the area.
        proportions: Greatest ratio of the sides.
        random: Uniform numbers, of which 2 * TRIES + 2 are taken.
    """
    tried = [(next(random), next(random)) for _ in range(TRIES)]
    down, right = next(random), next(random)
    for area, lean in tried:
        pixels = height * width * (smallest + (1 - smallest) * area)
        ratio = proportions ** (2 * lean - 1)
        tall, wide = round(math.sqrt(pixels / ratio)), round(math.sqrt(pixels * ratio))
        if 0 < tall <= height and 0 < wide <= width:
            return int(down * (height - tall + 1)), int(right * (width - wide + 1)), tall, wide
    tall, wide = min(height, round(width * proportions)), min(width, round(height * proportions))
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def _squash(image: Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """As `resize_image` squashes: by area where it shrinks, bilinearly where it stretches."""
    height, width = image.shape[:2]
    if height > size or width > size:
        image = cv2.resize(image, (min(width, size), min(height, size)), interpolation=cv2.INTER_AREA)
    if image.shape[:2] != (size, size):
        image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(image, dtype=np.uint8)


def _flip(view: Image, horizontal: bool, vertical: bool) -> Image:
    if not (horizontal or vertical):
        return view
    code = -1 if horizontal and vertical else 1 if horizontal else 0
    return np.asarray(cv2.flip(view, code), dtype=np.uint8)
