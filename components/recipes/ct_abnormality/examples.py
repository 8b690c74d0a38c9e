"""The volumes of one split as tensors: slices with the labels of their volume."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8

from components.core.augment.volume import VolumeAugment
from components.core.data.case import LABELS
from components.core.data.dataset import Dataset, Row
from components.core.digest import digest_values
from components.core.engine.order import epoch_of
from components.core.engine.task import Batch, ViewKey
from components.recipes.ct_abnormality.loading import SLICES
from components.recipes.ct_abnormality.slices import as_rgb, places

SEED = 0
"""Of the augmentation: the key of a view holds the run's seed already."""

FIELDS = frozenset({"image", "labels"})


class VolumeExamples:
    """One volume per row.

    Fields: `image` [b, n, 3, s, s] in [0, 1]; `labels` [b, l], NaN where unknown.

    Args:
        rows: Cases of this split.
        slices: Number n of slices.
        size: Side s of the slices, pixels.
        augment: What augmented views may differ in.
        sizes: Other sides by the epoch of a phase from which they hold: fresh views grow with the epochs.
    """

    def __init__(
        self,
        dataset: Dataset,
        rows: Sequence[Row],
        *,
        slices: int,
        size: int,
        augment: VolumeAugment,
        sizes: Mapping[int, int] | None = None,
    ) -> None:
        self._dataset = dataset
        self._rows = rows
        self._slices = slices
        self._size = size
        self._augment = augment
        self._sizes = dict(sorted((sizes or {}).items()))
        self.ids: list[str] = [row.id for row in rows]
        self.sources: list[int] = list(range(len(rows)))
        """Every volume is its own source."""

    @cached_property
    def digest(self) -> str:
        """Of the data, the chosen rows, the slices and the augmentation."""
        settings = [self._slices, self._size, self._augment.model_dump(mode="json")]
        return digest_values([self._dataset.digest, self.ids, *settings])

    def size_of(self, key: ViewKey) -> int:
        """Side of a view's slices: that of its epoch where it is fresh, else the model's own."""
        epoch = epoch_of(key)
        reached = [] if epoch is None else [size for first, size in self._sizes.items() if first <= epoch]
        return reached[-1] if reached else self._size

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        """Load some fields of some rows.

        Raises:
            ValueError: A field is unknown.
            BadInput: The slices have neither one channel nor three.
        """
        if fields - FIELDS - {"row"}:
            raise ValueError(f"unknown fields {sorted(fields - FIELDS)}; there are {sorted(FIELDS)}")
        batch: Batch = {"row": torch.tensor(list(rows), dtype=torch.int64)}
        if "labels" in fields:
            batch["labels"] = torch.from_numpy(np.stack([self.labels(row) for row in rows]))
        if "image" in fields:
            views = [self._view(row, key) for row, key in zip(rows, keys, strict=True)]
            batch["image"] = torch.from_numpy(np.stack(views)).permute(0, 1, 4, 2, 3).float() / 255
        return batch

    def labels(self, row: int) -> Float[np.ndarray, " l"]:
        """Labels of a row's volume, float32."""
        return np.array(self._dataset.array(self.ids[row], LABELS), dtype=np.float32)

    def _view(self, row: int, key: ViewKey) -> UInt8[np.ndarray, "n s s 3"]:
        stored = np.asarray(self._dataset.array(self.ids[row], SLICES))
        chosen = stored[places(len(stored), self._slices, SEED, key)]
        return self._augment.apply(as_rgb(chosen, self.ids[row]), self.size_of(key), SEED, key)
