"""Pictures as data URIs: a report loads nothing."""

from base64 import b64encode

import cv2
import numpy as np
from jaxtyping import UInt8

MAX_SIDE = 320
"""Longer pictures are shrunk: a report of many cases must stay a file one can send."""

SMALL = 128
"""Up to this side PNG, which keeps single pixels; above it JPEG, which is several times smaller."""

QUALITY = 85


def data_uri(picture: UInt8[np.ndarray, "h w 3"]) -> str:
    """An RGB picture as `data:image/...;base64,...`.

    Raises:
        ValueError: Not uint8 [h, w, 3], or OpenCV refuses to encode it.
    """
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(f"a picture is uint8 [h, w, 3], got {picture.dtype} {picture.shape}")
    side = max(picture.shape[:2])
    if side > MAX_SIDE:
        scale = MAX_SIDE / side
        picture = np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    kind, options = ("png", []) if side <= SMALL else ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    encoded, data = cv2.imencode(f".{kind}", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
    if not encoded:
        raise ValueError(f"cannot encode a picture of {picture.shape}")
    return f"data:image/{kind};base64,{b64encode(data.tobytes()).decode('ascii')}"
