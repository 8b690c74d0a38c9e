"""Dice and intersection over union of two masks."""

import numpy as np
from jaxtyping import Bool

UNDEFINED = float("nan")


def dice(predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """2 |P and T| / (|P| + |T|), in [0, 1]; NaN for empty truth."""
    if not truth.any():
        return UNDEFINED
    shared = np.count_nonzero(predicted & truth)
    return 2 * shared / (np.count_nonzero(predicted) + np.count_nonzero(truth))


def iou(predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """|P and T| / |P or T|, in [0, 1]; NaN for empty truth."""
    if not truth.any():
        return UNDEFINED
    return np.count_nonzero(predicted & truth) / np.count_nonzero(predicted | truth)
