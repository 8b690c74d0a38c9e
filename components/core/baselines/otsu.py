"""Otsu's threshold (1979) on the luminance: segmentation without learning."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8
from numpy.typing import NDArray

from components.core.errors import BadInput
from components.core.metrics.overlap import dice


@dataclass(frozen=True)
class Otsu:
    """Each image split at its own threshold.

    Attributes:
        bright: Is the bright side the foreground? Lesions are dark in ultrasound and bright in MRI.
    """

    bright: bool

    def predict(self, image: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
        """The chosen side of the image's own threshold; nothing where the image is one grey."""
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        if grey.min() == grey.max():
            return np.zeros(grey.shape, dtype=bool)
        threshold, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        above = grey > threshold
        return np.asarray(above if self.bright else ~above)


def fit(train: Iterable[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> Otsu:
    """Choose the side by the mean Dice over the train split.

    Args:
        train: Pairs of image uint8 [h, w, 3] and mask bool [h, w], read once.

    Raises:
        BadInput: No mask holds any foreground.
    """
    sides = (Otsu(bright=True), Otsu(bright=False))
    scores = np.asarray([[dice(side.predict(image), mask) for side in sides] for image, mask in train if mask.any()])
    if not scores.size:
        raise BadInput(
            "no training mask holds any foreground", where="Otsu baseline", remedy="check the masks, or leave it out"
        )
    bright, dark = scores.mean(axis=0)
    return sides[0] if bright >= dark else sides[1]
