"""How steep a saliency map is at the true edge."""

import cv2
import numpy as np
from jaxtyping import Bool, Float

from components.core.metrics.overlap import UNDEFINED

BAND_REACH = 2
"""Pixels by which the edge line is widened on each side: 1 + 2 * 2 = a 5 px band."""


def saliency_sharpness(probability: Float[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Mean absolute Laplacian of the probability in the 5 px band around the true edge.

    The band and the five-point Laplacian are those of `components.core.losses.sharpness` (a test compares).

    Returns:
        In [0, 4]; NaN where the truth has no edge (empty, or the whole image).
    """
    band = edge_band(truth)
    if not band.any():
        return UNDEFINED
    second = cv2.Laplacian(probability.astype(np.float64), cv2.CV_64F, ksize=1, borderType=cv2.BORDER_REPLICATE)
    return float(np.abs(second)[band].mean())


def edge_band(truth: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Foreground pixels with a background 8-neighbour, widened by 2 px; the image's frame is no edge."""
    mask = truth.astype(np.uint8)
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    side = 2 * BAND_REACH + 1
    band = cv2.dilate(mask - inner, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return np.asarray(band > 0)
