"""The pictures of one split as tensors, each with its class."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from components.core.augment.severity import Severity
from components.core.data.dataset import Dataset, Row
from components.core.digest import digest_values
from components.core.engine.task import Batch, ViewKey

SEED = 0
"""Of the augmentation: the key of a view holds the run's seed already."""

FIELDS = frozenset({"image", "label"})


class ClassExamples:
    """One picture per row.

    Fields: `image` [b, 3, s, s] in [0, 1]; `label` [b], the number of its class.

    Args:
        rows: Cases of this split.
        classes: Names of the classes, which the rows' strata are.
        size: Side of the pictures, s.
        augment: What augmented views may differ in.
    """

    def __init__(
        self, dataset: Dataset, rows: Sequence[Row], *, classes: Sequence[str], size: int, augment: Severity
    ) -> None:
        self._dataset = dataset
        self._rows = rows
        self._size = size
        self._augment = augment
        self.ids: list[str] = [row.id for row in rows]
        self.sources: list[int] = list(range(len(rows)))
        """Every picture is its own source."""
        self.labels: list[int] = [classes.index(row.stratum) for row in rows]
        """Class of each row."""

    @cached_property
    def digest(self) -> str:
        """Of the data, the chosen rows, the size and the augmentation."""
        return digest_values([self._dataset.digest, self.ids, self._size, self._augment.model_dump(mode="json")])

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        """Load some fields of some rows.

        Raises:
            ValueError: A field is unknown.
        """
        if fields - FIELDS - {"row"}:
            raise ValueError(f"unknown fields {sorted(fields - FIELDS)}; there are {sorted(FIELDS)}")
        batch: Batch = {"row": torch.tensor(list(rows), dtype=torch.int64)}
        if "label" in fields:
            batch["label"] = torch.tensor([self.labels[row] for row in rows], dtype=torch.int64)
        if "image" in fields:
            views = [self._view(row, key) for row, key in zip(rows, keys, strict=True)]
            batch["image"] = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2).float() / 255
        return batch

    def _view(self, row: int, key: ViewKey) -> np.ndarray:
        image = np.asarray(self._dataset.array(self.ids[row], "image"))
        return self._augment.apply(image, self._size, SEED, key)
