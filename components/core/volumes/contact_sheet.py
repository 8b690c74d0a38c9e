"""One picture of what was extracted, for eyes."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import UInt8

SIDE = 96
"""Pixels of one tile."""

LETTERS = 14
"""Height of the line of text above a row."""


def contact_sheet(
    rows: Sequence[tuple[str, UInt8[np.ndarray, "n h w c"]]], columns: int = 8
) -> UInt8[np.ndarray, "height width 3"]:
    """One row per volume: its name above, then slices spread evenly over what was taken of it.

    Args:
        rows: Name and slices; of one, two or more channels the first three are shown as red, green, blue, one as grey.
        columns: Slices shown per volume.

    Raises:
        ValueError: There are no rows.
    """
    if not rows:
        raise ValueError("a contact sheet of nothing")
    return np.concatenate([_row(name, slices, columns) for name, slices in rows])


def _row(name: str, slices: UInt8[np.ndarray, "n h w c"], columns: int) -> UInt8[np.ndarray, "height width 3"]:
    shown = np.rint(np.linspace(0, len(slices) - 1, min(columns, len(slices)))).astype(int)
    tiles = [_tile(slices[index]) for index in shown]
    tiles += [np.zeros((SIDE, SIDE, 3), np.uint8)] * (columns - len(tiles))
    line = np.zeros((LETTERS, SIDE * columns, 3), np.uint8)
    cv2.putText(line, name[-90:], (2, LETTERS - 4), cv2.FONT_HERSHEY_PLAIN, 0.8, (255, 255, 255), 1, cv2.LINE_AA)
    return np.concatenate([line, np.concatenate(tiles, axis=1)])


def _tile(picture: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "s s 3"]:
    channels = picture.shape[2]
    colour = picture[:, :, :3] if channels >= 3 else np.repeat(picture[:, :, :1], 3, axis=2)
    return cv2.resize(np.ascontiguousarray(colour), (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8)
