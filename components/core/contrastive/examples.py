"""Pictures as training without labels reads them: two views of each, or each as it is."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from components.core.augment.joint import resize_image
from components.core.augment.simclr import Views
from components.core.data.pictures import Pictures
from components.core.digest import digest_values
from components.core.engine.task import Batch, ViewKey

FIELD = "views"

SEED = 0
"""Of the augmentation: the key of a view holds the run's seed already."""


class PictureViews:
    """Some pictures, one per row. Field: `views` [b, v, s, s, 3] uint8.

    v is 2 for augmented samples, the two views of a picture, and 1 for the identity.

    Args:
        pictures: Where they come from.
        rows: Which of them.
        size: Side of the views, pixels.
        views: How two views differ.
    """

    def __init__(self, pictures: Pictures, rows: Sequence[int], size: int, views: Views) -> None:
        self._pictures, self._rows, self._size, self._views = pictures, rows, size, views
        self.ids: list[str] = [pictures.ids[row] for row in rows]
        self.sources: list[int] = list(range(len(rows)))
        """Every picture is its own source."""

    @cached_property
    def digest(self) -> str:
        """Of the pictures and what is done to them."""
        settings = [self._size, self._views.model_dump(mode="json")]
        return digest_values([self._pictures.digest, self.ids, settings])

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        """Views of some pictures, all of them augmented or none.

        Raises:
            ValueError: A field is unknown.
        """
        if fields - {FIELD, "row"}:
            raise ValueError(f"unknown fields {sorted(fields - {FIELD})}; there is {FIELD!r}")
        batch: Batch = {"row": torch.tensor(list(rows), dtype=torch.int64)}
        if FIELD in fields:
            seen = [self._seen(self._rows[row], key) for row, key in zip(rows, keys, strict=True)]
            batch[FIELD] = torch.from_numpy(np.stack(seen))
        return batch

    def _seen(self, row: int, key: ViewKey) -> np.ndarray:
        image = self._pictures.load(row)
        if not key:
            return resize_image(image, self._size)[None]
        return np.stack([self._views.apply(image, self._size, SEED, (*key, side)) for side in range(2)])
