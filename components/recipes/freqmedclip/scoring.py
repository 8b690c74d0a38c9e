"""The judgement of one sample at its native resolution: the same for the model, its stages and every yardstick."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.metrics.box import box_iou, tightness
from components.core.metrics.false_positive import false_positive, false_positive_area
from components.core.metrics.overlap import UNDEFINED, dice, iou
from components.core.metrics.sharpness import saliency_sharpness
from components.core.metrics.surface import boundary_f1, nsd
from components.recipes.contract import CasePrediction
from components.recipes.freqmedclip.data import prompts_of, samples
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.pictures import panels
from components.recipes.freqmedclip.prompts import box_of, largest_components

HEADLINE = "dice"
"""The score that tables lead with. It is undefined without a lesion, so its mean is over lesions only."""


@dataclass(frozen=True)
class Target:
    """What one sample asks for.

    Attributes:
        id: Sample id.
        value: Mask value of the target.
        label: The case's stratum; where pictures hold several targets, the target's prompt.
        group: Patient or source.
        image: uint8 [h, w, 3], native size.
        truth: bool [h, w].
    """

    id: str
    value: int
    label: str
    group: str
    image: UInt8[np.ndarray, "h w 3"]
    truth: Bool[np.ndarray, "h w"]


@dataclass(frozen=True)
class Answer:
    """What a system says of one sample, at the native size.

    Attributes:
        mask: bool [h, w].
        boxes: Box prompts (x0, y0, x1, y1), upper ends excluded, pixels, [k, 4]; none where nothing is salient.
        saliency: Probability [h, w]; None for systems that have only a mask.
    """

    mask: Bool[np.ndarray, "h w"]
    boxes: Int[np.ndarray, "k 4"]
    saliency: Float[np.ndarray, "h w"] | None = None


def find_target(dataset: Dataset, sample: str) -> Target:
    """Picture and truth of one sample.

    Args:
        sample: Id as `components.recipes.freqmedclip.data.samples` gives it.

    Raises:
        BadInput: The dataset has no such sample.
    """
    prompts = prompts_of(dataset)
    several = len(prompts) > 1
    case = sample.rpartition("#")[0] if several else sample
    try:
        row = dataset.row(case)
        found = next(one for one in samples([row], prompts) if one.id == sample)
    except (KeyError, StopIteration) as error:
        raise BadInput(
            f"no sample {sample!r}", where=str(dataset.folder), remedy="judge a model on the dataset it was given"
        ) from error
    return Target(
        id=sample,
        value=found.value,
        label=found.prompt if several else row.stratum,
        group=row.group,
        image=np.asarray(dataset.array(case, "image")),
        truth=np.asarray(dataset.array(case, "mask")) == found.value,
    )


def prompt_boxes(
    mask: Bool[np.ndarray, "u v"], prompting: Prompting, height: int, width: int
) -> Int[np.ndarray, "k 4"]:
    """Boxes of the components that would prompt SAM, on a picture of another size.

    Args:
        mask: Salient pixels.
        height: Of the picture the boxes are for, pixels.
        width: Of that picture, pixels.

    Returns:
        x0, y0, x1, y1, upper ends excluded; none for an empty mask.
    """
    parts = largest_components(mask, prompting.components, prompting.min_area)
    inclusive = np.asarray([box_of(part) for part in parts], dtype=np.float64).reshape(-1, 4)
    factor = np.asarray([width / mask.shape[1], height / mask.shape[0]] * 2)
    return np.asarray(np.rint((inclusive + np.asarray([0, 0, 1, 1])) * factor), dtype=np.int64)


def judge(target: Target, answer: Answer, *, pictures: bool = False) -> CasePrediction:
    """Every score of one sample.

    Returns:
        Scores `dice`, `iou`, `nsd` and `boundary_f1` (2 px), `prompt_box_iou`, `prompt_box_tightness`,
        `saliency_sharpness`: NaN for empty truth. `false_positive` and `false_positive_area`: NaN unless the truth is
        empty. Sharpness is NaN for a system without saliency, tightness where there is no box.
    """
    mask, truth = answer.mask, target.truth
    sharpness = UNDEFINED if answer.saliency is None else saliency_sharpness(answer.saliency, truth)
    scores = {
        "dice": dice(mask, truth),
        "iou": iou(mask, truth),
        "nsd": nsd(mask, truth),
        "boundary_f1": boundary_f1(mask, truth),
        "prompt_box_iou": box_iou(answer.boxes, truth),
        "prompt_box_tightness": tightness(answer.boxes, truth),
        "saliency_sharpness": sharpness,
        "false_positive": false_positive(mask, truth),
        "false_positive_area": false_positive_area(mask, truth),
    }
    painted = panels(target.image, truth, mask, answer.saliency) if pictures else {}
    return CasePrediction(target.id, target.label, target.group, scores, painted)
