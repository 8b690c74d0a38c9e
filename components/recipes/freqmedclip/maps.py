"""Probability maps: where a pixel belongs to the mask, what an empty one is, and the same map at another size."""

import cv2
import numpy as np
from jaxtyping import Float

THRESHOLD = 0.5
"""Probability from which a pixel belongs to a mask: of a prediction, and of a truth that is stored as a number."""

SALIENCY = "saliency"
"""The map that prompts come from, the mask where validation has chosen none, and the graph that makes it."""

NOTHING = -20.0
"""Logit of SAM's mask where nothing is salient, in the model and in the exported path."""


def stretch(values: Float[np.ndarray, "u v"], height: int, width: int) -> Float[np.ndarray, "h w"]:
    """A map at another size, bilinear, pixel areas aligned: as the model does inside, and evaluation outside."""
    resized = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.float32)
