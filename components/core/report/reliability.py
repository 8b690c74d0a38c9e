"""How often a classifier is right when it is so sure: what stands behind a calibration error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15
"""Of equal width, lower end excluded, as in the calibration error: Guo et al., 2017, On Calibration, eq. 3."""


@dataclass(frozen=True)
class Reliability:
    """Bins of confidence that hold cases, ascending.

    Attributes:
        confidence: Mean probability of the predicted class in each.
        accuracy: Share of correct predictions in each.
        count: Cases in each.
    """

    confidence: Sequence[float]
    accuracy: Sequence[float]
    count: Sequence[int]


def reliability(evidence: Mapping[str, NDArray[np.float64]], bins: int = BINS) -> Reliability | None:
    """Reliability of exclusive classes.

    Args:
        evidence: `truth` [n], class numbers, and `probability` [n, k]; where it is anything else there is no answer.
    """
    truth, probability = evidence.get("truth"), evidence.get("probability")
    if truth is None or probability is None or truth.ndim != 1 or probability.ndim != 2 or not len(truth):
        return None
    confidence = probability.max(axis=1)
    right = probability.argmax(axis=1) == truth
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    held = [place == number for number in range(bins) if (place == number).any()]
    return Reliability(
        [float(confidence[one].mean()) for one in held],
        [float(right[one].mean()) for one in held],
        [int(one.sum()) for one in held],
    )
