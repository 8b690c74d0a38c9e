"""A small prepared dataset of made-up slices for the tests of ct_abnormality."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Ratios, Split
from components.recipes.contract import RawCase

NAMES = ("bright", "dark", "square")


@dataclass(frozen=True)
class Made:
    """Volumes of noise: `bright` and `dark` move the grey levels of all slices, `square` draws one into a single slice.

    Attributes:
        unknown: Every so manieth volume lacks its second label; 0 for none.
    """

    count: int = 24
    slices: int = 6
    size: int = 32
    channels: int = 3
    unknown: int = 5

    def read(self, raw: Path) -> list[RawCase]:
        return [self._case(raw, number) for number in range(self.count)]

    def synthesize(self, folder: Path) -> "Made":
        folder.mkdir(parents=True, exist_ok=True)
        for case in self.read(folder):
            case.sources[0].write_text(case.id)
        return self

    def _case(self, raw: Path, number: int) -> RawCase:
        shown = [bool(number & bit) for bit in (1, 2, 4)]
        labels = {name: float(present) for name, present in zip(NAMES, shown, strict=True)}
        if self.unknown and number % self.unknown == 0:
            labels["dark"] = float("nan")

        def load() -> dict[str, np.ndarray]:
            random = np.random.default_rng(number)
            shape = (self.slices, self.size, self.size, self.channels)
            slices = random.normal(110 + 50 * shown[0] - 30 * shown[1], 20, shape)
            if shown[2]:
                slices[number % self.slices, 8:20, 8:20] = 255
            return {"slices": np.clip(slices, 0, 255).astype(np.uint8)}

        id = f"volume-{number:02d}"
        return RawCase(
            id, (raw / id,), "all", load, group=f"patient-{number // 2}", near_duplicate_of="slices", labels=labels
        )


def volumes(folder: Path, made: Made | None = None, calibration: float = 0.0) -> Dataset:
    """Prepared: half of the patients train, the others val, test and, if asked for, calibration."""
    split = Split(ratios=Ratios(train=0.5, val=0.25 - calibration, test=0.25, calibration=calibration))
    prepare(made or Made(), None, split, QuarantineLimits(), folder / "dataset", recipe="ct_abnormality")
    return Dataset.open(folder / "dataset")


def rows_of(dataset: Dataset, parts: Sequence[str] = ("train", "val", "test")) -> list[str]:
    """Ids of all cases."""
    return [row.id for part in parts for row in dataset.rows(part)]
