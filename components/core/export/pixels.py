"""Pictures as exported graphs take them. No torch."""

import numpy as np
from jaxtyping import Float, Shaped


def unit(picture: Shaped[np.ndarray, "s s 3"]) -> Float[np.ndarray, "1 3 s s"]:
    """RGB of 0 to 255 (float32 in scale views) as the graphs take it: 0 to 1, channels first, a batch of one."""
    shown = np.ascontiguousarray(picture.transpose(2, 0, 1)[None], dtype=np.float32)
    return np.asarray(shown / np.float32(255))
