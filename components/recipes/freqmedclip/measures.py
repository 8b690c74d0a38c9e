"""What validation measures of one sample, at the size of the model's pictures."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Bool, Float

from components.core.metrics.box import box_iou, tightness
from components.core.metrics.overlap import dice, iou
from components.core.metrics.sharpness import saliency_sharpness
from components.core.metrics.surface import boundary_f1, nsd
from components.recipes.freqmedclip.maps import THRESHOLD
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.prompts import Mask, propose

OF_MASKS: Mapping[str, Callable[[Mask, Mask], float]] = {
    "dice": dice,
    "iou": iou,
    "nsd": nsd,
    "boundary_f1": boundary_f1,
}
"""What is measured of every candidate mask."""


def measure_sample(
    candidates: Mapping[str, Float[np.ndarray, "s s"]], truth: Bool[np.ndarray, "s s"], prompting: Prompting
) -> dict[str, float]:
    """Overlap and outline of every candidate, and how good the saliency is as a prompt.

    Args:
        candidates: Probabilities by name; `saliency` is always there.

    Returns:
        `dice_NAME`, `iou_NAME`, `nsd_NAME` and `boundary_f1_NAME` (2 px of these pictures), `prompt_box_iou`,
        `prompt_box_tightness`, `saliency_sharpness`; NaN where undefined.
    """
    found: dict[str, float] = {}
    for name, probability in candidates.items():
        predicted = probability >= THRESHOLD
        found.update({f"{metric}_{name}": value(predicted, truth) for metric, value in OF_MASKS.items()})
    saliency = candidates["saliency"]
    proposal = propose(saliency, prompting, saliency.shape[0])
    shown = proposal.boxes[: 0 if proposal.empty else None]
    boxes = np.rint(shown).astype(np.int64) + np.array([0, 0, 1, 1])  # upper ends excluded from here on
    found["prompt_box_iou"] = box_iou(boxes, truth)
    found["prompt_box_tightness"] = tightness(boxes, truth)
    found["saliency_sharpness"] = saliency_sharpness(saliency, truth)
    return found
