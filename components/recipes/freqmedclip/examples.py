"""The samples of one split as tensors: picture for CLIP, picture for SAM, mask, and rows of the text tables."""

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from components.core.augment.joint import Augment
from components.core.data.dataset import Dataset
from components.core.digest import digest_values
from components.core.engine.task import Batch, ViewKey
from components.core.models import clip, sam
from components.recipes.freqmedclip.data import Sample

SEED = 0
"""Of the augmentation: the key of a view holds the run's seed already."""

FIELDS = frozenset({"image", "mask", "sam_image", "prompt", "caption"})


class SegmentationExamples:
    """One target in one picture per row.

    Fields: `image` [b, 3, s, s] normalised for CLIP; `sam_image` [b, 3, t, t] normalised for SAM, the same view;
    `mask` [b, 1, s, s] of {0, 1}; `prompt` and `caption` [b], rows of `prompts` and `captions`.

    Args:
        samples: Rows of this split.
        size: Side of CLIP's pictures, s.
        sam_size: Side of SAM's pictures, t.
    """

    def __init__(
        self, dataset: Dataset, samples: Sequence[Sample], *, size: int, sam_size: int, augment: Augment
    ) -> None:
        self._dataset = dataset
        self._samples = samples
        self._size, self._sam_size = size, sam_size
        self._augment = augment
        self.ids: list[str] = [sample.id for sample in samples]
        numbers = {case: number for number, case in enumerate(dict.fromkeys(s.case_id for s in samples))}
        self.sources: list[int] = [numbers[sample.case_id] for sample in samples]
        """Number of each row's picture."""
        self.prompts: list[str] = sorted({sample.prompt for sample in samples})
        """Distinct prompts: the rows of the prompt table."""
        self.captions: list[str] = sorted({caption_of(sample) for sample in samples})
        """Distinct captions: the rows of the caption table."""
        self._prompt_rows = {text: row for row, text in enumerate(self.prompts)}
        self._caption_rows = {text: row for row, text in enumerate(self.captions)}

    @cached_property
    def digest(self) -> str:
        """Of the data, the samples' targets, the sizes and the augmentation; texts are in the tables."""
        targets = [[sample.id, sample.case_id, sample.value] for sample in self._samples]
        sizes = [self._size, self._sam_size]
        return digest_values([self._dataset.digest, targets, sizes, self._augment.model_dump(mode="json")])

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        """Load some fields of some rows.

        Raises:
            ValueError: A field is unknown.
        """
        if fields - FIELDS - {"row"}:
            raise ValueError(f"unknown fields {sorted(fields - FIELDS)}; there are {sorted(FIELDS)}")
        batch: Batch = {"row": torch.tensor(list(rows), dtype=torch.int64)}
        chosen = [self._samples[row] for row in rows]
        if "prompt" in fields:
            batch["prompt"] = torch.tensor([self._prompt_rows[sample.prompt] for sample in chosen])
        if "caption" in fields:
            batch["caption"] = torch.tensor([self._caption_rows[caption_of(sample)] for sample in chosen])
        if fields & {"image", "mask"}:
            views = [self._view(sample, key, self._size) for sample, key in zip(chosen, keys, strict=True)]
            if "image" in fields:
                batch["image"] = _pictures([picture for picture, _ in views], clip.normalise)
            if "mask" in fields:
                batch["mask"] = torch.from_numpy(np.stack([mask for _, mask in views]))[:, None]
        if "sam_image" in fields:
            views = [self._view(sample, key, self._sam_size) for sample, key in zip(chosen, keys, strict=True)]
            batch["sam_image"] = _pictures([picture for picture, _ in views], sam.normalise)
        return batch

    def _view(
        self, sample: Sample, key: ViewKey, size: int
    ) -> tuple[UInt8[np.ndarray, "size size 3"], NDArray[np.float32]]:
        image = np.asarray(self._dataset.array(sample.case_id, "image"))
        labels = np.asarray(self._dataset.array(sample.case_id, "mask"))
        picture, seen = self._augment.apply(image, labels, size, SEED, key)
        return picture, np.asarray(seen == sample.value, dtype=np.float32)


def caption_of(sample: Sample) -> str:
    """The caption, or the prompt where there is none (outside the train split, or by choice)."""
    return sample.caption or sample.prompt


def _pictures(pictures: list[UInt8[np.ndarray, "s s 3"]], normalise: Callable[[Tensor], Tensor]) -> Tensor:
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    return normalise(stacked)
