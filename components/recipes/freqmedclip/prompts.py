"""Saliency to prompts for SAM: binary map, largest components, boxes and points.

Everything here works on numbers without gradients; gradients reach the saliency through the dense mask prompt.
"""

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from components.recipes.freqmedclip.model_config import Prompting

Probability: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

FLAT = 1e-6
LEVELS = 256
KMEANS_STEPS = 50


@dataclass(frozen=True)
class Proposal:
    """Prompts of one image, in pixels of the image they will be shown on.

    Attributes:
        boxes: [k, 4] x0, y0, x1, y1, centres of the corner pixels. Where fewer components exist than k, the first
            one is repeated, which a merge by maximum does not notice.
        points: [k, 2] x, y, inside the component.
        empty: Nothing salient: the box is the whole image, the point its most salient pixel.
    """

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]
    empty: bool


def propose(probability: Probability, config: Prompting, size: int) -> Proposal:
    """Prompts of a saliency map.

    Args:
        probability: [h, w] in [0, 1].
        size: Side of the square image the prompts are for, in pixels.
    """
    mask = binarise(probability, config)
    parts = largest_components(mask, config.components, config.min_area)
    if parts:
        boxes, points = [box_of(part) for part in parts], [point_of(part) for part in parts]
    else:
        height, width = probability.shape
        row, column = np.unravel_index(int(np.argmax(probability)), probability.shape)
        boxes, points = [(0, 0, width - 1, height - 1)], [(int(column), int(row))]
    missing = config.components - len(boxes)
    return Proposal(
        boxes=_scaled(boxes + boxes[:1] * missing, probability.shape, size).reshape(-1, 4),
        points=_scaled(points + points[:1] * missing, probability.shape, size).reshape(-1, 2),
        empty=not parts,
    )


def binarise(probability: Probability, config: Prompting) -> Mask:
    """Salient pixels by a fixed threshold, Otsu's (Otsu 1979) or two-means; a flat map uses the fixed one."""
    low, high = float(probability.min()), float(probability.max())
    if config.binarise == "fixed" or high - low < FLAT:
        return np.asarray(probability >= config.threshold)
    threshold = _otsu(probability, low, high) if config.binarise == "otsu" else _two_means(probability, low, high)
    return np.asarray(probability > threshold)


def _otsu(probability: Probability, low: float, high: float) -> float:
    """Otsu's threshold over the map's own range in 256 levels."""
    levels = np.round((probability - low) / (high - low) * (LEVELS - 1)).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, LEVELS - 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (float(level) + 0.5) / (LEVELS - 1) * (high - low)


def _two_means(probability: Probability, low: float, high: float) -> float:
    """Midpoint between the two means of Lloyd's algorithm in one dimension, started at the extremes."""
    values = probability.astype(np.float64).ravel()
    threshold = (low + high) / 2
    for _ in range(KMEANS_STEPS):
        above = values > threshold
        moved = float(values[above].mean() + values[~above].mean()) / 2
        if moved == threshold:
            break
        threshold = moved
    return threshold


def largest_components(mask: Mask, count: int, min_area: float = 0.0) -> list[Mask]:
    """The largest 8-connected components, largest first; of equals the upper one, then the left one."""
    found, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = {label: int(stats[label, cv2.CC_STAT_AREA]) for label in range(1, found)}
    kept = sorted((label for label in areas if areas[label] >= min_area * mask.size), key=lambda n: (-areas[n], n))
    return [np.asarray(labels == label) for label in kept[:count]]


def box_of(mask: Mask) -> tuple[int, int, int, int]:
    """Bounding box of a mask that is not empty: x0, y0, x1, y1, corners included."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def point_of(mask: Mask) -> tuple[int, int]:
    """The pixel of a mask that lies deepest inside: x, y."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(depth)), depth.shape)
    return int(column), int(row)


def _scaled(pixels: object, shape: tuple[int, ...], size: int) -> NDArray[np.float32]:
    """Pixel centres of an [h, w] map to pixel centres of a [size, size] image; pairs of x, y."""
    pairs = np.asarray(pixels, dtype=np.float32).reshape(-1, 2)
    factor = np.asarray([size / shape[1], size / shape[0]], dtype=np.float32)
    return np.asarray((pairs + 0.5) * factor - 0.5, dtype=np.float32)
