"""Yardsticks that need no training loop: the commonest class, and a linear model on colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from components.core.contrastive.probe import fit_probe
from components.core.data.dataset import Dataset, Row
from components.recipes.contract import Baseline, CasePrediction
from components.recipes.hvit.fraction import Labels
from components.recipes.hvit.scoring import judge

BINS = (12, 4, 4)
"""Bins of hue, saturation and value."""

RANGES = (0.0, 180.0, 0.0, 256.0, 0.0, 256.0)
"""OpenCV keeps hue in half degrees."""

SIDE = 256
"""Longer pictures are shrunk to it first: a histogram needs no more."""


@dataclass
class MajorityClass:
    """Answers every picture with the shares of the classes in the train split."""

    classes: Sequence[str]
    labels: Labels
    name: str = "majority class"

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Count train, answer test."""
        rows = self.labels.choose(dataset.rows("train"))
        counts = np.asarray([sum(row.stratum == name for row in rows) for name in self.classes], dtype=np.float64)
        return [judge(dataset, row.id, counts / counts.sum(), self.classes) for row in dataset.rows("test")]


@dataclass
class ColourHistogram:
    """Logistic regression on histograms of hue, saturation and value: what colours alone tell of the class."""

    classes: Sequence[str]
    labels: Labels
    name: str = "colour histogram"

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Fit on train, answer test."""
        train, test = self.labels.choose(dataset.rows("train")), dataset.rows("test")
        if not test:
            return []
        numbers = np.asarray([self.classes.index(row.stratum) for row in train])
        answer = fit_probe(self._features(dataset, train), numbers, len(self.classes))
        shares = answer(self._features(dataset, test))
        return [judge(dataset, row.id, share, self.classes) for row, share in zip(test, shares, strict=True)]

    @staticmethod
    def _features(dataset: Dataset, rows: Sequence[Row]) -> Float[np.ndarray, "n d"]:
        return np.stack([histogram(np.asarray(dataset.array(row.id, "image"))) for row in rows])


def histogram(image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " d"]:
    """Square roots of the shares of pixels in joint bins of hue, saturation and value (Hellinger's embedding)."""
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    colours = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    counts = cv2.calcHist([colours], [0, 1, 2], None, list(BINS), list(RANGES)).reshape(-1).astype(np.float64)
    return np.asarray(np.sqrt(counts / counts.sum()))


def yardsticks(classes: Sequence[str], labels: Labels) -> list[Baseline]:
    """All of them, each on the labels that the model may see too."""
    return [MajorityClass(classes, labels), ColourHistogram(classes, labels)]
