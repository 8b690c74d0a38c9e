"""Judging predicted probability maps: the map that validation chose, at native resolution."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.recipes.contract import CasePrediction
from components.recipes.freqmedclip.maps import SALIENCY, THRESHOLD, stretch
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.prompts import binarise
from components.recipes.freqmedclip.scoring import Answer, find_target, judge, prompt_boxes


def score(
    dataset: Dataset,
    sample: str,
    predicted: Mapping[str, Tensor],
    decision: Mapping[str, str],
    *,
    prompting: Prompting,
    pictures: bool = False,
) -> CasePrediction:
    """Judge one sample of the model.

    Args:
        sample: Id as `components.recipes.freqmedclip.data.samples` gives it.
        predicted: Probabilities [s, s] by name on the CPU; `saliency` is always there.
        decision: `mask` names the map that is judged; `{"mask": "saliency"}` is the system without SAM.
        prompting: How the saliency becomes boxes.

    Raises:
        BadInput: The chosen map was not predicted, or the dataset has no such sample.
    """
    chosen = decision.get("mask", SALIENCY)
    missing = {chosen, SALIENCY} - set(predicted)
    if missing:
        raise BadInput(
            f"no map {sorted(missing)} among the predictions {sorted(predicted)}",
            where="decision.mask",
            remedy="judge the model with the recipe it was trained by",
        )
    return score_maps(
        dataset,
        sample,
        _numbers(predicted[chosen]),
        _numbers(predicted[SALIENCY]),
        prompting=prompting,
        pictures=pictures,
    )


def score_maps(
    dataset: Dataset,
    sample: str,
    mask: Float[np.ndarray, "s s"],
    saliency: Float[np.ndarray, "s s"],
    *,
    prompting: Prompting,
    pictures: bool = False,
) -> CasePrediction:
    """Judge a mask's probability, and the saliency it was prompted by (which may be the same map).

    The mask is stretched to the native size and thresholded there; boxes are found on the map itself, where the model
    finds them, and stretched.
    """
    target = find_target(dataset, sample)
    height, width = target.truth.shape
    answer = Answer(
        mask=stretch(mask, height, width) >= THRESHOLD,
        boxes=prompt_boxes(binarise(saliency, prompting), prompting, height, width),
        saliency=stretch(saliency, height, width),
    )
    return judge(target, answer, pictures=pictures)


def _numbers(probability: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(probability.detach().float().cpu().numpy())
