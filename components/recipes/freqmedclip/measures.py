"""What validation measures of one sample, at the size of the model's pictures."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from components.core.metrics.box import box_iou, tightness
from components.core.metrics.overlap import dice, iou
from components.core.metrics.sharpness import saliency_sharpness
from components.recipes.freqmedclip.maps import THRESHOLD
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.prompts import propose


def measure_sample(
    candidates: Mapping[str, Float[np.ndarray, "s s"]], truth: Bool[np.ndarray, "s s"], prompting: Prompting
) -> dict[str, float]:
    """Dice and IoU of every candidate, and how good the saliency is as a prompt.

    Args:
        candidates: Probabilities by name; `saliency` is always there.

    Returns:
        `dice_NAME`, `iou_NAME`, `prompt_box_iou`, `prompt_box_tightness`, `saliency_sharpness`; NaN where undefined.
    """
    found: dict[str, float] = {}
    for name, probability in candidates.items():
        predicted = probability >= THRESHOLD
        found[f"dice_{name}"] = dice(predicted, truth)
        found[f"iou_{name}"] = iou(predicted, truth)
    saliency = candidates["saliency"]
    proposal = propose(saliency, prompting, saliency.shape[0])
    shown = proposal.boxes[: 0 if proposal.empty else None]
    boxes = np.rint(shown).astype(np.int64) + np.array([0, 0, 1, 1])  # upper ends excluded from here on
    found["prompt_box_iou"] = box_iou(boxes, truth)
    found["prompt_box_tightness"] = tightness(boxes, truth)
    found["saliency_sharpness"] = saliency_sharpness(saliency, truth)
    return found
