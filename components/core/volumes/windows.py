"""Grey levels: Hounsfield units through fixed windows to 8 bits, one window per channel."""

from collections.abc import Sequence

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
    values = units.astype(np.float32, copy=False)
    channels = []
    for window in windows:
        scaled = (values - np.float32(window.centre - window.width / 2)) * np.float32(255 / window.width)
        channels.append(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8))
    return np.stack(channels, axis=-1)
