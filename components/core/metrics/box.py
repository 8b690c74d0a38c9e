"""How well prompt boxes fit the truth: IoU and tightness against the boxes of its connected components."""

import cv2
import numpy as np
from jaxtyping import Bool, Int

from components.core.metrics.overlap import UNDEFINED


def component_boxes(mask: Bool[np.ndarray, "h w"]) -> Int[np.ndarray, "k 4"]:
    """Boxes (x0, y0, x1, y1), upper ends excluded, of the 8-connected components; pixels."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    left, top, width, height = stats[1:, :4].T  # row 0 is the background
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.int64)


def box_iou(boxes: Int[np.ndarray, "k 4"], truth: Bool[np.ndarray, "h w"]) -> float:
    """IoU of the area under the prompt boxes and the area under the truth's boxes.

    With one box and one component this is the ordinary IoU of two boxes.

    Args:
        boxes: Prompts (x0, y0, x1, y1), upper ends excluded, pixels; none gives 0.
        truth: Mask.

    Returns:
        In [0, 1]; NaN for empty truth.
    """
    if not truth.any():
        return UNDEFINED
    ours, theirs = _painted(boxes, truth.shape), _painted(component_boxes(truth), truth.shape)
    return np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs)


def tightness(boxes: Int[np.ndarray, "k 4"], truth: Bool[np.ndarray, "h w"]) -> float:
    """Share of the area under the prompt boxes that lies under the truth's boxes: 1 is no wasted area.

    Read it beside `box_iou`: a box that is too small is tight.

    Returns:
        In [0, 1]; NaN for empty truth and where there is no prompt.
    """
    if not truth.any() or not len(boxes):
        return UNDEFINED
    ours, theirs = _painted(boxes, truth.shape), _painted(component_boxes(truth), truth.shape)
    area = np.count_nonzero(ours)
    return np.count_nonzero(ours & theirs) / area if area else UNDEFINED


def _painted(boxes: Int[np.ndarray, "k 4"], shape: tuple[int, ...]) -> Bool[np.ndarray, "h w"]:
    canvas = np.zeros(shape, dtype=bool)
    for x0, y0, x1, y1 in np.maximum(boxes, 0).tolist():
        canvas[y0:y1, x0:x1] = True
    return canvas
