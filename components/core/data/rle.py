"""Masks of COCO annotations: run lengths (plain and compressed) and polygons, decoded to pixels.

Source: the COCO API's `maskApi.c` (Lin et al., 2014). Runs go down the columns and start with background.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int


def decode_runs(counts: Sequence[int] | Int[np.ndarray, " n"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Decode plain run lengths.

    Raises:
        ValueError: A run is negative, or the runs do not fill the picture.
    """
    runs = np.asarray(counts, dtype=np.int64)
    if (runs < 0).any() or runs.sum() != height * width:
        raise ValueError(f"run lengths sum to {runs.sum()}, not to {height} x {width} pixels")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(width, height).T


def decode_compressed(text: str, height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Decode COCO's compressed run lengths.

    Each number is written in groups of 5 bits, lowest first, with a continuation bit and sign extension; from
    the fourth run on it is the difference to the run two places before.

    Raises:
        ValueError: The text is cut short or has foreign characters, or the runs do not fill the picture.
    """
    runs: list[int] = []
    position = 0
    while position < len(text):
        value, position = _number(text, position)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return decode_runs(runs, height, width)


def _number(text: str, position: int) -> tuple[int, int]:
    """(number, position after it)."""
    value = shift = 0
    while True:
        if position >= len(text):
            raise ValueError("compressed run lengths end within a number")
        bits = ord(text[position]) - 48
        if not 0 <= bits < 64:
            raise ValueError(f"{text[position]!r} does not occur in compressed run lengths")
        value |= (bits & 31) << shift
        position, shift = position + 1, shift + 5
        if not bits & 32:
            return (value - (1 << shift) if bits & 16 else value), position


def fill_polygon(points: Float[np.ndarray, "n 2"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """Pixels whose centre is inside a polygon of (x, y) corners (even-odd rule); pixel i covers [i, i + 1).

    OpenCV's `fillPoly` also fills every pixel that the outline touches, and so makes objects half a pixel fatter.

    Raises:
        ValueError: There are fewer than 3 corners, or a corner is not finite.
    """
    if len(points) < 3 or not np.isfinite(points).all():
        raise ValueError("a polygon needs 3 or more finite corners")
    crossings = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        # Rows whose centre line the edge crosses, its upper end included, its lower end not.
        first, last = (int(np.clip(np.ceil(end - 0.5), 0, height)) for end in sorted((y0, y1)))
        rows = np.arange(first, last)
        x = x0 + (rows + 0.5 - y0) * ((x1 - x0) / (y1 - y0)) if first < last else rows
        crossings[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] += 1
    inside: Bool[np.ndarray, "h w"] = np.cumsum(crossings, axis=1)[:, :width] % 2 == 1
    return inside
