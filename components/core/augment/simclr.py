"""The views of SimCLR: of one picture, two crops that differ in everything but what they show."""

from collections.abc import Callable, Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from pydantic import Field, model_validator

from components.core.augment.joint import Image, resize_image
from components.core.augment.photometry import brighten, contrast, greyed, saturate, turn_hue
from components.core.augment.randomness import generator
from components.core.config import Values

TRIES = 10
"""Crops drawn before a picture that none of them fits is cropped in its middle, as torchvision does."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Operation: TypeAlias = Callable[[Image], Image]


class Views(Values):
    """What two views of one picture may differ in, whatever its colours. Ranges are drawn from uniformly.

    Crop, flip, jitter in a random order, grey, blur: the order and the numbers of the paper, but for the crop, which
    holds a fifth of the picture at least (0.08 there): lesions are small.

    Attributes:
        crop: Smallest share of the picture's area in a crop; the greatest is all of it.
        proportions: Greatest ratio of a crop's sides (uniform in its logarithm, either side).
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        jitter: Probability that brightness, contrast (and colours) change.
        brightness: Factor, from 1 - brightness (not below 0) to 1 + brightness.
        contrast: The same about the mean of the view's grey values.
        blur: Probability of a Gaussian blur.
        sigma: Least and greatest standard deviation of the blur, pixels of the view.

    Source:
        Chen et al., ICML 2020, arXiv:2002.05709, appendix A.
    """

    crop: float = Field(default=0.2, gt=0, le=1)
    proportions: float = Field(default=4 / 3, ge=1)
    flip_horizontal: Share = 0.5
    flip_vertical: Share = 0.0
    jitter: Share = 0.8
    brightness: float = Field(default=0.8, ge=0)
    contrast: float = Field(default=0.8, ge=0)
    blur: Share = 0.5
    sigma: tuple[float, float] = (0.1, 2.0)

    numbers: ClassVar[int] = 2 * TRIES + 16
    """Uniform numbers drawn for a view, whatever becomes of them: one changed key leaves the rest as it was."""

    @model_validator(mode="after")
    def _sigma_is_a_range(self) -> "Views":
        low, high = self.sigma
        if not 0 < low <= high:
            raise ValueError(f"sigma must be two numbers above 0 in ascending order, got {[low, high]}")
        return self

    def apply(
        self, image: Image, size: int, seed: int, key: tuple[int, ...]
    ) -> UInt8[np.ndarray, "size size 3"]:
        """One view of a picture: a pure function of the arguments. Safe in threads.

        Args:
            image: RGB.
            size: Side of the view, pixels.
            seed: Seed of the augmentation.
            key: View key; the empty tuple is the picture as it is, squashed to a square.
        """
        if not key:
            return resize_image(image, size)
        drawn = generator(seed, *key).random(self.numbers)
        spot, (turned, fallen, jittered, blurred, wide), rest = drawn[:-14], drawn[-14:-9], drawn[-9:]
        view = resize_image(self._cropped(image, spot), size)
        view = flipped(view, turned < self.flip_horizontal, fallen < self.flip_vertical)
        if jittered < self.jitter:
            operations = self._jitter(rest)
            for place in np.argsort(rest[4:8])[np.argsort(np.argsort(rest[4:8])) >= 0]:
                if place < len(operations):
                    view = operations[place](view)
        view = self._finish(view, float(rest[8]))
        if blurred < self.blur:
            sigma = self.sigma[0] + float(wide) * (self.sigma[1] - self.sigma[0])
            view = np.asarray(cv2.GaussianBlur(view, (0, 0), sigma), dtype=np.uint8)
        return view
