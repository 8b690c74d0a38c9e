"""Which of a volume's prepared slices are seen, and as what. No torch."""

import numpy as np
from jaxtyping import UInt8

from components.core.augment.randomness import generator
from components.core.errors import BadInput

CHOICE = 7
"""Tells the draws of the slices from those of what is done to them."""


def places(stored: int, wanted: int, seed: int = 0, key: tuple[int, ...] = ()) -> list[int]:
    """Which of the stored slices are seen: one of each of `wanted` equal parts, the middle one for the identity view.

    Of fewer slices than parts some come twice.

    Args:
        seed: Seed of the augmentation.
        key: View key.
    """
    within = generator(seed, *key, CHOICE).random(wanted) if key else np.full(wanted, 0.5)
    found = np.floor((np.arange(wanted) + within) * stored / wanted).astype(int)
    return [int(place) for place in np.clip(found, 0, stored - 1)]


def as_rgb(slices: UInt8[np.ndarray, "n h w c"], sample: str) -> UInt8[np.ndarray, "n h w 3"]:
    """Slices of one channel or three, as a backbone for colours sees them.

    Args:
        sample: Id, for the error.

    Raises:
        BadInput: There are neither one nor three.
    """
    channels = slices.shape[3]
    if channels == 3:
        return np.ascontiguousarray(slices)
    if channels == 1:
        return np.repeat(slices, 3, axis=3)
    raise BadInput(
        f"the slices have {channels} channels, and backbones take three (or one, shown in all three)",
        where=sample,
        remedy="prepare with one or three recipe.data.extraction.windows, or with one window and neighbours: 1",
    )
