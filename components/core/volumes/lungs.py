"""Where the lungs are along z: enough to choose slices by, no segmentation."""

import cv2
import numpy as np
from jaxtyping import Float, Num

TISSUE = -320.0
"""Hounsfield units between lung and soft tissue (a common threshold of lung segmentation)."""

SIDE = 96
"""Slices are looked at about this small."""

LEAST = 0.02
"""Fraction of a slice that must be lung in the fullest one, or the volume is taken to show none."""

PART = 0.15
"""A slice belongs to the range from this fraction of the fullest slice's lung area."""


def lung_range(units: Num[np.ndarray, "d h w"]) -> tuple[int, int] | None:
    """First and last slice of the lungs (inclusive), None where there are none to be seen.

    Args:
        units: Hounsfield units, canonical axes; subsampling the rows and columns does no harm.
    """
    step = max(1, units.shape[1] // SIDE), max(1, units.shape[2] // SIDE)
    areas = np.array([_enclosed_air(plane[:: step[0], :: step[1]]) for plane in units])
    if len(areas) == 0 or areas.max() < LEAST:
        return None
    inside = np.flatnonzero(_smoothed(areas) >= PART * areas.max())
    return int(inside[0]), int(inside[-1])


def _enclosed_air(plane: Num[np.ndarray, "h w"]) -> float:
    """Fraction of a slice that is air and does not reach its border."""
    air = np.ascontiguousarray(np.pad((plane < TISSUE).astype(np.uint8), 1, constant_values=1))
    cv2.floodFill(air, None, (0, 0), 2)
    return float((air == 1).mean())


def _smoothed(areas: Float[np.ndarray, " d"]) -> Float[np.ndarray, " d"]:
    """Median of three: bowel gas in one slice is no lung."""
    if len(areas) < 3:
        return areas
    middle = np.median(np.stack([areas[:-2], areas[1:-1], areas[2:]]), axis=0)
    return np.concatenate([areas[:1], middle, areas[-1:]])
