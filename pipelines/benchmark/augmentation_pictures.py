"""Which pictures the benchmark of augmentation looks at."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.data.case import Decoded
from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput
from components.recipes.contract import DataSource, RawCase


def load_pictures(data: DataSource, raw: Path | None, count: int, folder: Path) -> list[NDArray[np.uint8]]:
    """Pictures of a recipe's data, evenly picked over its cases, as RGB [h, w, 3] in memory.

    Args:
        data: The recipe's `data:` section.
        raw: The user's data; None takes the recipe's synthetic data.
        count: At most so many; fewer where there are no more.
        folder: Empty; holds synthetic data.

    Raises:
        BadInput: There is no picture that can be read.
    """
    if raw is None:
        data, raw = data.synthesize(folder), folder
    cases = data.read(raw)
    chosen = cases[:: max(1, len(cases) // count)][:count]
    pictures = [picture for case in chosen if (picture := _picture(case)) is not None]
    if not pictures:
        raise BadInput("no picture could be read", where=str(raw), remedy="give --data a folder of the recipe's kind")
    return pictures


def _picture(case: RawCase) -> NDArray[np.uint8] | None:
    try:
        image = Decoded.of(case.load()).arrays["image"]
    except Unreadable:
        return None
    return np.ascontiguousarray(image, dtype=np.uint8)


def describe(pictures: Sequence[NDArray[np.uint8]]) -> str:
    """How many there are and how large they are: `64 pictures, 256 x 256 pixels (median)`."""
    height, width = np.median([one.shape[:2] for one in pictures], axis=0)
    return f"{len(pictures)} picture{'s' if len(pictures) != 1 else ''}, {width:.0f} x {height:.0f} pixels (median)"
