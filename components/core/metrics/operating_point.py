"""The probability from which a label is called present, fitted once and then moved to one half."""

import numpy as np
from jaxtyping import Float

OPERATING_POINT = 0.5
"""Probability from which a label is called present: the challenge fixes it, logits are shifted to fit it."""

LIMIT = 1e-6
"""Probabilities are kept this far from 0 and 1 where their logit is taken."""


def fit_shifts(truth: Float[np.ndarray, "n l"], probability: Float[np.ndarray, "n l"]) -> Float[np.ndarray, " l"]:
    """Shift of each label's logit that puts its best threshold at probability 0.5.

    Best is the greatest F1; of equals the threshold nearest to 0.5, half way to the next probability below, so that the
    decision does not hang on one sample. A label whose known truth has one side only keeps its logits.

    Args:
        truth: 1, 0, or NaN where unknown; of a split that no phase was trained on.
        probability: What the model says.
    """
    shifts = np.zeros(truth.shape[1])
    for label in range(truth.shape[1]):
        known = ~np.isnan(truth[:, label])
        present = truth[known, label] == 1
        if present.any() and not present.all():
            shifts[label] = -_best_threshold(present, logit(probability[known, label]))
    return shifts


def apply_shifts(probability: Float[np.ndarray, "*n l"], shifts: Float[np.ndarray, " l"]) -> Float[np.ndarray, "*n l"]:
    """Probabilities whose operating point is 0.5."""
    shifted: Float[np.ndarray, "*n l"] = 1 / (1 + np.exp(-(logit(probability) + shifts)))
    return shifted


def logit(probability: Float[np.ndarray, "*s"]) -> Float[np.ndarray, "*s"]:
    """log(p / (1 - p)), finite for every probability."""
    clipped = np.clip(probability.astype(np.float64), LIMIT, 1 - LIMIT)
    values: Float[np.ndarray, "*s"] = np.log(clipped) - np.log1p(-clipped)
    return values


def _best_threshold(present: np.ndarray[tuple[int], np.dtype[np.bool_]], logits: Float[np.ndarray, " n"]) -> float:
    """Logit from which to call a label present."""
    levels = np.unique(logits)[::-1]
    called = np.array([(logits >= level) for level in levels])
    hits = (called & present).sum(axis=1)
    f1 = 2 * hits / (called.sum(axis=1) + present.sum())
    below = np.append(levels[1:], levels[-1] - 1.0)
    thresholds = (levels + below) / 2
    best = thresholds[np.isclose(f1, f1.max())]
    return float(best[np.abs(best).argmin()])
