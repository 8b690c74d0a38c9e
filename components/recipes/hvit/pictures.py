"""Pictures of one sample for the report: what it is, what it was taken for, and which places spoke for that."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from components.core.report.bars import SIDE, likeliest
from components.core.report.bars import bars as probability_bars

SHOWN = 3
"""Classes that get a bar: the most probable ones."""

HEAT = 0.5
"""Weight of a map over the picture."""


def panels(
    image: UInt8[np.ndarray, "h w 3"],
    truth: int,
    probability: Float[np.ndarray, " k"],
    classes: Sequence[str],
    maps: Mapping[str, Float[np.ndarray, "_ _"]] | None = None,
) -> dict[str, UInt8[np.ndarray, "_ _ 3"]]:
    """RGB panels by caption: `prediction` (the picture above bars of the most probable classes), then the maps.

    Args:
        image: RGB.
        truth: Number of the true class; its bar is green, others are orange.
        probability: Of every class.
        maps: By caption, how much each place of the picture spoke for the answer; of any resolution.
    """
    shown = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    found = {"prediction": np.concatenate([shown, bars(truth, probability, classes)])}
    return found | {name: with_heat(shown, places) for name, places in (maps or {}).items()}


def answer(
    image: UInt8[np.ndarray, "h w 3"], probability: Float[np.ndarray, " k"], classes: Sequence[str]
) -> UInt8[np.ndarray, "u v 3"]:
    """A picture above bars of its most probable classes, where nobody knows the true one."""
    shown = np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    return np.concatenate([shown, bars(None, probability, classes)])


def bars(truth: int | None, probability: Float[np.ndarray, " k"], classes: Sequence[str]) -> UInt8[np.ndarray, "u v 3"]:
    """The true class in words (if it is known), and the most probable classes as bars with their names."""
    title = None if truth is None else f"truth: {classes[truth]}"
    right = () if truth is None else (truth,)
    return probability_bars(probability, classes, likeliest(probability, SHOWN), right, title)


def with_heat(image: UInt8[np.ndarray, "u v 3"], places: Float[np.ndarray, "_ _"]) -> UInt8[np.ndarray, "u v 3"]:
    """What is positive of a map over a picture, from nothing (dark blue) to the map's greatest (yellow)."""
    height, width = image.shape[:2]
    positive = np.clip(np.nan_to_num(places), 0, None).astype(np.float32)
    greatest = float(positive.max())
    share = positive / greatest if greatest > 0 else positive
    fitted = np.clip(cv2.resize(share, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)
    heat = cv2.applyColorMap(np.rint(fitted * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.addWeighted(image, 1 - HEAT, cv2.cvtColor(heat, cv2.COLOR_BGR2RGB), HEAT, 0), dtype=np.uint8)
