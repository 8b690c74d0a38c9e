"""Agreement of two masks' outlines within a tolerance: normalised surface Dice and boundary F1.

Convention, that of `monai.metrics.compute_surface_dice` without sub-voxels (a test compares): a mask's outline is its
pixels with a background 4-neighbour, the image's frame being background; each outline pixel counts once; distances
are Euclidean, between pixel centres, in pixels.
"""

import cv2
import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from components.core.metrics.overlap import UNDEFINED

TOLERANCE_PX = 2.0


def nsd(predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], tolerance: float = TOLERANCE_PX) -> float:
    """Normalised surface Dice (Nikolov et al., 2018): the share of both outlines that is near the other one.

    Args:
        predicted: Mask.
        truth: Mask.
        tolerance: Distance that still counts as near, pixels.

    Returns:
        In [0, 1]; 0 for an empty prediction; NaN for empty truth.
    """
    if not truth.any():
        return UNDEFINED
    near_truth, near_predicted = _near(predicted, truth, tolerance)
    return float(near_truth.sum() + near_predicted.sum()) / (near_truth.size + near_predicted.size)


def boundary_f1(
    predicted: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"], tolerance: float = TOLERANCE_PX
) -> float:
    """Boundary F1 (Csurka et al., 2013): harmonic mean of the outlines' precision and recall.

    Args:
        predicted: Mask.
        truth: Mask.
        tolerance: Distance that still counts as near, pixels.

    Returns:
        In [0, 1]; 0 for an empty prediction; NaN for empty truth.
    """
    if not truth.any():
        return UNDEFINED
    if not predicted.any():
        return 0.0
    near_truth, near_predicted = _near(predicted, truth, tolerance)
    precision, recall = float(near_truth.mean()), float(near_predicted.mean())
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def _near(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], tolerance: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """For each outline pixel of the prediction: is it near the truth's outline? And the other way round."""
    ours, theirs = outline(predicted), outline(truth)
    return _distance_to(theirs)[ours] <= tolerance, _distance_to(ours)[theirs] <= tolerance


def outline(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The mask's pixels with a background 4-neighbour."""
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    inner = cv2.erode(mask.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(mask & (inner == 0))


def _distance_to(line: Bool[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """Distance of every pixel to the nearest pixel of the line; infinite where there is no line."""
    if not line.any():
        return np.full(line.shape, np.inf, dtype=np.float32)
    distance = cv2.distanceTransform((~line).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance, dtype=np.float32)
