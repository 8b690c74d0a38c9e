"""Grey levels: from whatever a file stores to 8 bits."""

import numpy as np
from jaxtyping import Shaped, UInt8

from components.core.data.quarantine import Unreadable

PERCENTILES = (0.5, 99.5)
"""Grey levels that become 0 and 255 where nobody chose a window: robust to a few hot pixels."""


def to_uint8(
    stored: Shaped[np.ndarray, "*shape"], where: str, window: tuple[float, float] | None = None
) -> UInt8[np.ndarray, "*shape"]:
    """Scale grey levels linearly to 0..255.

    8-bit data pass unchanged; anything else is clipped to the window.

    Args:
        stored: Values of any real type.
        where: File they came from, for the error.
        window: Levels that become 0 and 255; None takes the 0.5 and 99.5 percentiles of this picture.

    Raises:
        Unreadable: There are NaN or infinite values.
    """
    if stored.dtype == np.bool_:
        return stored.astype(np.uint8) * np.uint8(255)
    if stored.dtype == np.uint8 and window is None:
        return stored
    levels = stored.astype(np.float32)
    if not np.isfinite(levels).all():
        raise Unreadable("has NaN or infinite pixels", where=where)
    low, high = window if window is not None else _robust_range(levels)
    if high <= low:
        return np.zeros(levels.shape, np.uint8)
    scaled = (levels - low) * (255.0 / (high - low))
    grey: UInt8[np.ndarray, "*shape"] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def _robust_range(levels: Shaped[np.ndarray, "*shape"]) -> tuple[float, float]:
    low, high = (float(level) for level in np.percentile(levels, PERCENTILES))
    return (low, high) if high > low else (float(levels.min()), float(levels.max()))
