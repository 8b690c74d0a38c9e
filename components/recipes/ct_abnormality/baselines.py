"""Yardsticks that need no training loop: how common each label is, and what grey levels alone tell of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from components.core.contrastive.probe import fit_probe
from components.core.data.case import LABELS
from components.core.data.dataset import Dataset, Row
from components.core.engine.fitting import CALIBRATION, VALIDATION
from components.core.metrics.operating_point import apply_shifts, fit_shifts
from components.recipes.contract import Baseline, CasePrediction
from components.recipes.ct_abnormality.loading import SLICES
from components.recipes.ct_abnormality.measures import presence
from components.recipes.ct_abnormality.scoring import judge

BINS = 32
"""Of equal width, in each channel: with windows as channels they are bins of Hounsfield units."""

UNDECIDED = 0.5
"""Answer about a label of which nothing is known in the train split."""


@dataclass
class Prevalence:
    """Answers every volume with the share of each label among the train volumes that know it."""

    names: Sequence[str]
    name: str = "prevalence"

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Count train, answer test."""
        truth = _truth(dataset, dataset.rows("train"), len(self.names))
        known = (~np.isnan(truth)).sum(axis=0)
        present = (truth == 1).sum(axis=0)
        share = np.divide(present, known, out=np.full(len(self.names), UNDECIDED), where=known > 0)
        return [judge(dataset, row.id, share, self.names) for row in dataset.rows("test")]


@dataclass
class HounsfieldHistogram:
    """Logistic regression by label on histograms of the slices' grey levels: what amounts of tissue alone tell."""

    names: Sequence[str]
    name: str = "HU histogram"

    def predict(self, dataset: Dataset) -> list[CasePrediction]:
        """Fit on train, put the operating points on calibration (or val), answer test."""
        test = dataset.rows("test")
        if not test:
            return []
        train, held = dataset.rows("train"), dataset.rows(CALIBRATION) or dataset.rows(VALIDATION)
        features = self._features(dataset, train)
        truth = _truth(dataset, train, len(self.names))
        asked = self._features(dataset, [*held, *test])
        found = np.stack([_answers(features, column, asked) for column in truth.T], axis=1)
        shifts = fit_shifts(_truth(dataset, held, len(self.names)), found[: len(held)])
        moved = apply_shifts(found[len(held) :], shifts)
        return [judge(dataset, row.id, one, self.names) for row, one in zip(test, moved, strict=True)]

    @staticmethod
    def _features(dataset: Dataset, rows: Sequence[Row]) -> Float[np.ndarray, "n d"]:
        return np.stack([histogram(np.asarray(dataset.array(row.id, SLICES))) for row in rows])


def histogram(slices: UInt8[np.ndarray, "n h w c"]) -> Float[np.ndarray, " d"]:
    """Square roots of the shares of pixels in bins of each channel's grey levels (Hellinger's embedding)."""
    channels = slices.reshape(-1, slices.shape[3])
    counts = [np.bincount(channel // (256 // BINS), minlength=BINS) for channel in channels.T]
    return np.sqrt(np.concatenate(counts) / len(channels))


def _answers(
    features: Float[np.ndarray, "n d"], truth: Float[np.ndarray, " n"], asked: Float[np.ndarray, "m d"]
) -> Float[np.ndarray, " m"]:
    """Probability of one label; where train shows one side of it only, that side's share."""
    known = ~np.isnan(truth)
    if not known.any():
        return np.full(len(asked), UNDECIDED)
    answer = fit_probe(features[known], (truth[known] == 1).astype(np.int64), 2)
    return np.asarray(answer(asked)[:, 1])


def _truth(dataset: Dataset, rows: Sequence[Row], labels: int) -> Float[np.ndarray, "n l"]:
    stored = [np.asarray(dataset.array(row.id, LABELS), dtype=np.float64) for row in rows]
    return presence(np.asarray(stored).reshape(-1, labels))


def yardsticks(names: Sequence[str]) -> list[Baseline]:
    """All of them."""
    return [Prevalence(names), HounsfieldHistogram(names)]
