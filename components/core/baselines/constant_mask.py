"""One mask for every image: the mean of the training masks, thresholded. It measures how much position alone tells."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray

from components.core.errors import BadInput

SIDE = 128
"""Pixels of the square in which masks of different sizes are averaged."""

CANDIDATES = 63
"""Thresholds tried, evenly between 0 and the highest mean."""


@dataclass(frozen=True)
class ConstantMask:
    """The same relative region in every image.

    Attributes:
        mean: Share of training masks that hold each cell, [s, s] in [0, 1].
        threshold: Cells above it are predicted.
    """

    mean: Float32[np.ndarray, "s s"]
    threshold: float

    def predict(self, image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
        """The mean, stretched to the image's size and thresholded."""
        height, width = image.shape[:2]
        return np.asarray(cv2.resize(self.mean, (width, height), interpolation=cv2.INTER_LINEAR) > self.threshold)


def fit(train: Iterable[NDArray[np.bool_]], validation: Iterable[NDArray[np.bool_]], side: int = SIDE) -> ConstantMask:
    """Average the training masks and choose the threshold with the best mean Dice on the validation masks.

    Masks without foreground count in neither.

    Args:
        train: Masks bool [h, w] of any sizes, read once.
        validation: Masks bool [h, w] of any sizes, read once.
        side: Pixels of the square in which they are averaged.

    Raises:
        BadInput: No mask of a split holds any foreground.
    """
    mean = _squares(train, side, "train").mean(axis=0, dtype=np.float64).astype(np.float32)
    wanted = (_squares(validation, side, "validation") > 0.5).reshape(-1, side * side)
    thresholds = np.linspace(0, float(mean.max()), CANDIDATES + 2)[1:-1]
    predicted = mean.reshape(1, -1) > thresholds[:, None]
    shared = predicted.astype(np.float32) @ wanted.T.astype(np.float32)
    total = predicted.sum(axis=1)[:, None] + wanted.sum(axis=1)[None]
    scores = (2 * shared / total).mean(axis=1)
    return ConstantMask(mean, float(thresholds[int(scores.argmax())]))


def _squares(masks: Iterable[NDArray[np.bool_]], side: int, split: str) -> Float32[np.ndarray, "n s s"]:
    squares = [
        cv2.resize(mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA) for mask in masks if mask.any()
    ]
    if not squares:
        raise BadInput(
            f"no {split} mask holds any foreground",
            where="constant-mask baseline",
            remedy="check the masks, or leave the baseline out",
        )
    return np.stack(squares).astype(np.float32)
