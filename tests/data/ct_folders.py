"""Raw folders of small chest CTs, as people keep them."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from components.core.config import validate
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.recipes.ct_abnormality.data import CtData
from tests.volumes.volume_files import write_nifti

CUT = {"extraction": {"size": 16, "choice": {"count": 4}}}
"""What makes a test quick."""


def chest(seed: int = 0, depth: int = 12, side: int = 32) -> np.ndarray[Any, Any]:
    """HU [x, y, z] as NIfTI stores it: a body of water with two lungs in the middle, air around, some noise."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    body = np.hypot(rows / 0.7, columns) < side * 0.45
    lungs = np.hypot(rows, np.abs(columns) - side * 0.2) < side * 0.13
    volume = np.full((depth, side, side), -1000, np.int16)
    volume[:, body] = 40
    volume[2 : depth - 2, lungs] = -850
    volume += np.random.default_rng(seed).integers(-9, 10, volume.shape).astype(np.int16)
    return np.ascontiguousarray(volume.transpose(2, 1, 0))


def write_volumes(raw: Path, names: Sequence[str]) -> Path:
    """One volume for every name, the ending included; all differ."""
    for seed, name in enumerate(names):
        (raw / name).parent.mkdir(parents=True, exist_ok=True)
        write_nifti(raw / name, chest(seed))
    return raw


def write_labels(path: Path, rows: Mapping[str, Sequence[object]], columns: Sequence[str]) -> Path:
    """A table whose first column is the volume."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(columns)
        table.writerows([name, *cells] for name, cells in rows.items())
    return path


def data(**values: Any) -> CtData:
    return validate(CtData, {**CUT, **values}, "test")


def make(folder: Path, raw: Path, source: CtData | None = None, **options: Any) -> Dataset:
    limits = QuarantineLimits(max_fraction=options.pop("max_fraction", 0.0))
    options = {"recipe": "ct_abnormality", "workers": 0, **options}
    prepare(source or data(), raw, options.pop("split", Split()), limits, folder, **options)
    return Dataset.open(folder)
