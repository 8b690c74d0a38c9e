"""What an evaluation says of every test case, as read back from its `cases.csv`."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.errors import BadInput

ABOUT = ("system", "id", "label", "group")
"""Columns that describe a case; the rest are its numbers."""

PARTS = ":"
"""`probability:3` is the fourth number of the evidence `probability`."""


@dataclass(frozen=True)
class Cases:
    """One system's test cases under one seed.

    Attributes:
        numbers: [n] by column; NaN where undefined.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    numbers: Mapping[str, NDArray[np.float64]]

    @property
    def metrics(self) -> list[str]:
        """Columns that are scores of single cases, or numbers of their evidence."""
        return [name for name in self.numbers if PARTS not in name]

    def evidence(self) -> list[dict[str, NDArray[np.float64]]]:
        """What statistics are computed from, case by case: single numbers, and vectors where columns are parts."""
        whole = {name: self.numbers[name] for name in self.metrics}
        parts: dict[str, list[NDArray[np.float64]]] = {}
        for name, column in self.numbers.items():
            stem, separator, _ = name.partition(PARTS)
            if separator:
                parts.setdefault(stem, []).append(column)
        vectors = {stem: np.stack(columns, axis=1) for stem, columns in parts.items()}
        return [{name: value[row] for name, value in {**whole, **vectors}.items()} for row in range(len(self.ids))]


def read_cases(file: Path) -> dict[str, Cases]:
    """The cases of every system.

    Raises:
        BadInput: The file is no table of cases.
    """
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
        columns = [name for name in reader.fieldnames or () if name not in ABOUT]
    if any(name not in (reader.fieldnames or ()) for name in ABOUT):
        raise BadInput("not a table of cases", where=str(file), remedy="run the evaluation again with --restart")
    systems: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        systems.setdefault(row["system"], []).append(row)
    return {name: _cases(found, columns) for name, found in systems.items()}


def _cases(rows: Sequence[Mapping[str, str]], columns: Sequence[str]) -> Cases:
    numbers = {name: np.array([_number(row[name]) for row in rows]) for name in columns}
    return Cases([row["id"] for row in rows], [row["group"] for row in rows], numbers)


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan
