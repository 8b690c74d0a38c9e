"""What is predicted where nothing is: the judgement of cases whose truth is empty."""

import numpy as np
from jaxtyping import Bool

from components.core.metrics.overlap import UNDEFINED


def false_positive(predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """1 if anything is predicted, else 0; its mean over cases is the false-positive rate. NaN unless truth is empty."""
    return UNDEFINED if truth.any() else float(predicted.any())


def false_positive_area(predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Share of the image that is predicted, in [0, 1]. NaN unless truth is empty."""
    return UNDEFINED if truth.any() else float(predicted.mean())
