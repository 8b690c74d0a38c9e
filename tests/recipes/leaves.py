"""A small prepared dataset of flat-coloured pictures for the tests of hvit's judgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Ratios, Split
from components.recipes.contract import RawCase

CLASSES = ("blight", "healthy", "rust")
COLOURS = {"blight": (120, 90, 40), "healthy": (40, 160, 60), "rust": (180, 80, 30)}


@dataclass(frozen=True)
class Flat:
    """`counts` pictures of each class, two of each source; every class has its own colour, give or take some noise."""

    counts: dict[str, int]
    size: int = 24

    def read(self, raw: Path) -> list[RawCase]:
        return [self._case(raw, name, number) for name, count in self.counts.items() for number in range(count)]

    def synthesize(self, folder: Path) -> "Flat":
        folder.mkdir(parents=True, exist_ok=True)
        for case in self.read(folder):
            case.sources[0].write_text(case.id)
        return self

    def label_names(self, strata: Sequence[str]) -> dict[str, str]:
        return {str(number): name for number, name in enumerate(strata)}

    def _case(self, raw: Path, name: str, number: int) -> RawCase:
        def load() -> dict[str, np.ndarray]:
            noise = np.random.default_rng([CLASSES.index(name), number]).integers(-30, 31, (self.size, self.size, 3))
            return {"image": np.clip(np.asarray(COLOURS[name]) + noise, 0, 255).astype(np.uint8)}

        id = f"{name}-{number:02d}"
        return RawCase(id, (raw / id,), name, load, group=f"{name}/{number // 2}")


def leaves(folder: Path, **counts: int) -> Dataset:
    """Prepared: half of the sources train, a quarter each val and test."""
    split = Split(ratios=Ratios(train=0.5, val=0.25, test=0.25))
    data = Flat(counts or {"blight": 8, "healthy": 16, "rust": 12})
    prepare(data, None, split, QuarantineLimits(), folder / "dataset", recipe="hvit")
    return Dataset.open(folder / "dataset")
