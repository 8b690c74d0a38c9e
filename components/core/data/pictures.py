"""The pictures of a prepared dataset, as training without labels and linear probes look at them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.data.dataset import Dataset
from components.core.digest import digest_values


@dataclass(frozen=True)
class Pictures:
    """Pictures in the order of their rows.

    Attributes:
        ids: One per picture.
        groups: Patient or source of each.
        labels: Class of each, counted from 0, for the linear probe; -1 where it is unknown.
        load: Row to RGB [h, w, 3] uint8 at native size. Thread-safe.
        digest: Of the pictures and whatever decides how they are read.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    labels: Sequence[int]
    load: Callable[[int], NDArray[np.uint8]]
    digest: str


def stratum_pictures(dataset: Dataset, splits: Sequence[str]) -> Pictures:
    """The arrays `image` [h, w, 3] of some splits; the dataset's strata, in alphabetical order, are the classes."""
    rows = [row for split in splits for row in dataset.rows(split)]
    strata = sorted({row.stratum for split in dataset.splits for row in dataset.rows(split) if row.stratum})
    return Pictures(
        ids=[row.id for row in rows],
        groups=[row.group for row in rows],
        labels=[strata.index(row.stratum) if row.stratum else -1 for row in rows],
        load=lambda row: np.asarray(dataset.array(rows[row].id, "image")),
        digest=digest_values([dataset.digest, [row.id for row in rows]]),
    )
