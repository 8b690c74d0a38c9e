"""Fingerprints: small pictures of the detail in a picture, by which copies of one picture know each other.

A copy may be resized, compressed, brightened, flipped or turned by right angles, and cropped a little: what stays is
where detail lies relative to its neighbourhood. A fingerprint is therefore the picture at 24 x 24 less its own
Gaussian blur (sigma 2 of 24), scaled to unit contrast: gain and offset cancel, and what many pictures share (leaf on
grey ground, bright skin above dark depth) goes with the blur. Two are compared by normalised correlation, over the
eight orientations of the square.

A difference hash (dHash) does not do: on flat ground its bits are noise, so that brightened copies of leaves differ
in 27 to 88 of 256 bits, where pictures of different leaves start at 55; and a shift by 1 % of the width already
loses more than half of the copies (docs/decisions/0007).
"""

import cv2
import numpy as np
from jaxtyping import Float, Int, Int8, Shaped

from components.core.data.images import grey

SIDE = 24
SIGMA = 2.0
UNIT = 32
"""Value of one standard deviation: with 8 bits four of them are kept, and the sums below stay exact integers."""

FLAT = 2e-3
"""Detail below this part of the greatest level is that of a blank picture: rounding, not content."""

Fingerprint = Int8[np.ndarray, " 576"]
Fingerprints = Int8[np.ndarray, "n 576"]


def fingerprint(picture: Shaped[np.ndarray, "..."]) -> Fingerprint:
    """Fingerprint of a picture [h, w] or [h, w, 3 or 4], or of a volume's middle plane [d, h, w].

    All blank pictures have the same one: zeros.
    """
    small = cv2.resize(_plane(picture).astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    detail = small - cv2.GaussianBlur(small, (0, 0), SIGMA)
    detail -= detail.mean()
    spread = float(detail.std())
    if spread <= FLAT * float(np.abs(small).max()):
        return np.zeros(SIDE * SIDE, np.int8)
    found: Fingerprint = np.clip(np.rint(detail * (UNIT / spread)), -127, 127).astype(np.int8).reshape(-1)
    return found


def _plane(picture: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "h w"]:
    if picture.ndim == 2:
        return picture
    if picture.ndim == 3 and picture.shape[2] in (3, 4):
        return grey(np.ascontiguousarray(picture[:, :, :3]))
    if picture.ndim == 3:
        middle: Shaped[np.ndarray, "h w"] = picture[len(picture) // 2]
        return middle
    raise ValueError(f"cannot take the fingerprint of an array of shape {picture.shape}")


def orientations(side: int) -> Int[np.ndarray, "8 pixels"]:
    """For each orientation of a square the pixels, row by row, that stand in its places: `flat[places]` turns it."""
    places = np.arange(side * side).reshape(side, side)
    turned = [np.rot90(places, quarter) for quarter in range(4)]
    views: Int[np.ndarray, "8 pixels"] = np.stack([view.reshape(-1) for t in turned for view in (t, t[:, ::-1])])
    return views


def coarse(prints: Fingerprints) -> Float[np.ndarray, "n 144"]:
    """Fingerprints at half the side and of equal norm, in whole numbers: a float32 product of two is exact."""
    halves = prints.reshape(-1, SIDE // 2, 2, SIDE // 2, 2).sum(axis=(2, 4), dtype=np.int64)
    flat = halves.reshape(len(prints), -1).astype(np.float64)
    norm = np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1)
    scaled: Float[np.ndarray, "n 144"] = np.rint(flat * (COARSE_NORM / norm)).astype(np.float32)
    return scaled


COARSE_NORM = 2048
"""Its square is far below 2^24, up to which float32 holds every whole number: no order of summation matters."""
