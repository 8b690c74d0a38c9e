"""Grey levels: Hounsfield units through fixed windows to 8 bits, one window per channel."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Num, UInt8
from pydantic import Field

from components.core.config import Values


class Window(Values):
    """Hounsfield units from black to white.

    Attributes:
        centre: Of the window.
        width: From black to white.
    """

    centre: float
    width: float = Field(gt=0)


LUNG = Window(centre=-600, width=1500)
MEDIASTINUM = Window(centre=40, width=400)
BONE = Window(centre=400, width=1800)


def apply_windows(units: Num[np.ndarray, "h w"], windows: Sequence[Window]) -> UInt8[np.ndarray, "h w c"]:
    """One channel per window. The same for every picture: no level is taken from the picture itself."""
    values = np.ascontiguousarray(units, dtype=np.float32)
    channels = []
    for window in windows:
        black, scale = window.centre - window.width / 2, 255 / window.width
        # Values below black are raised to it first, so that OpenCV's absolute value has nothing to turn around.
        channels.append(cv2.convertScaleAbs(np.maximum(values, np.float32(black)), alpha=scale, beta=-black * scale))
    return np.stack(channels, axis=-1).astype(np.uint8, copy=False)
