"""Folders and tables of pictures of noise, three classes of them, and the data set that `prepare` makes of one."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.recipes.hvit.data import HVitData

DATA = HVitData()
NAMED = HVitData(group_pattern=r"leaf(\d+)")


def save(path: Path, seed: int, pixels: np.ndarray | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, 256, (8, 9, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    Image.fromarray(drawn if pixels is None else pixels).save(path)


def write_folders(raw: Path, per_class: int = 6) -> Path:
    for number, name in enumerate(("rust", "blight", "healthy")):
        for row in range(per_class):
            save(raw / name / f"leaf{100 * number + row}.png", 100 * number + row)
    return raw


def write_table(raw: Path, header: list[str], *rows: list[str], name: str = "index.csv") -> None:
    raw.mkdir(parents=True, exist_ok=True)
    with (raw / name).open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def make(folder: Path, raw: Path | None, data: HVitData = DATA, **options: Any) -> Dataset:
    limits = QuarantineLimits(max_fraction=options.pop("max_fraction", 0.0))
    prepare(data, raw, options.pop("split", Split(every_stratum=True)), limits, folder, recipe="hvit", workers=0)
    return Dataset.open(folder)
