"""Metrics of exclusive classes over many samples, as statistics of their stacked evidence (numpy, no torch).

Evidence is `truth` [n], the number of each sample's class, and `probability` [n, k]. A class that no sample belongs to
has no recall and no F1: these are NaN, and means over classes leave them out (a zero would blame the model for a class
that nobody could have found, and bootstrap draws lose rare classes all the time). What was wrongly taken for such a
class still counts: against the recall of the class it belongs to. Everything here is called once per bootstrap draw.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray

Evidence = Mapping[str, NDArray[np.float64]]

BINS = 15
"""Bins of the calibration error (Guo et al., On Calibration of Modern Neural Networks, 2017)."""

UNDEFINED = float("nan")


def confusion_counts(
    truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], classes: int
) -> Int[np.ndarray, "k k"]:
    """How often each class (rows) was taken for each class (columns)."""
    flat = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes)


def counts_of(evidence: Evidence) -> Int[np.ndarray, "k k"]:
    """Confusion counts of the most probable class; of equals, the first."""
    probability = evidence["probability"]
    return confusion_counts(evidence["truth"].astype(np.int64), probability.argmax(axis=1), probability.shape[1])


def recall_by_class(counts: Int[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """Share of each class's samples that were found; NaN for a class without samples."""
    return _ratio(counts.diagonal(), counts.sum(axis=1))


def precision_by_class(counts: Int[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """Share of what was taken for each class that belongs to it; NaN for a class that was never predicted."""
    return _ratio(counts.diagonal(), counts.sum(axis=0))


def f1_by_class(counts: Int[np.ndarray, "k k"]) -> Float[np.ndarray, " k"]:
    """2 TP / (2 TP + FP + FN); 0 for a class that was never found, NaN for one without samples."""
    belong = counts.sum(axis=1)
    share = _ratio(2 * counts.diagonal(), belong + counts.sum(axis=0))
    return np.where(belong > 0, share, UNDEFINED)


def accuracy(evidence: Evidence) -> float:
    """Share of samples whose most probable class is the true one."""
    right = evidence["probability"].argmax(axis=1) == evidence["truth"]
    return float(right.mean()) if len(right) else UNDEFINED


def balanced_accuracy(evidence: Evidence) -> float:
    """Mean recall of the classes that have samples."""
    return _mean(recall_by_class(counts_of(evidence)))


def f1_macro(evidence: Evidence) -> float:
    """Mean F1 of the classes that have samples."""
    return _mean(f1_by_class(counts_of(evidence)))


def recall_of(evidence: Evidence, number: int) -> float:
    """Recall of one class; NaN where it has no samples."""
    return float(recall_by_class(counts_of(evidence))[number])


def precision_of(evidence: Evidence, number: int) -> float:
    """Precision of one class; NaN where it was never predicted."""
    return float(precision_by_class(counts_of(evidence))[number])


def ece(evidence: Evidence, bins: int = BINS) -> float:
    """Expected calibration error: how far the confidence of the predicted class is from its accuracy, in [0, 1].

    The confidences are divided into bins of equal width, lower end excluded (Guo et al. 2017, eq. 3); the gaps
    between mean confidence and accuracy are averaged, weighted by the bins' samples.
    """
    probability = evidence["probability"]
    if not len(probability):
        return UNDEFINED
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == evidence["truth"]
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(right))


def _ratio(part: Int[np.ndarray, " k"], whole: Int[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    found = np.full(len(part), UNDEFINED)
    np.divide(part, whole, out=found, where=whole > 0)
    return found


def _mean(values: Float[np.ndarray, " k"]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else UNDEFINED
