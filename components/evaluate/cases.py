"""`cases.csv`: every score, and the evidence of every case of every system. No torch."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.errors import BadInput
from components.evaluate.system import System
from components.recipes.contract import CasePrediction

FIRST = ("system", "id", "label", "group")
"""Columns before the scores."""

EVIDENCE = "evidence:"
"""Prefix of columns that hold evidence: `evidence:truth`, `evidence:probability:rust`. No score's name has it."""


@dataclass(frozen=True)
class CaseTable:
    """What `cases.csv` holds.

    Attributes:
        systems: Cases by system, in the file's order.
        columns: Names of the evidence's columns.
    """

    systems: Mapping[str, list[CasePrediction]]
    columns: tuple[str, ...]


def cases_csv(systems: Sequence[System], classes: Sequence[str] = ()) -> str:
    """Every case of every system, one row each: its scores, then its evidence.

    Args:
        classes: Names of the classes by number: evidence of one number per class is headed by them.
    """
    names = sorted({name for system in systems for case in system.cases for name in case.scores})
    columns = evidence_columns([case for system in systems for case in system.cases], classes)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*FIRST, *names, *columns])
    for system in systems:
        for case in system.cases:
            scores = [_cell(case.scores.get(name)) for name in names]
            evidence = _flat(case.evidence, classes)
            told = [_cell(evidence.get(column)) for column in columns]
            writer.writerow([system.name, case.id, case.label, case.group, *scores, *told])
    return stream.getvalue()


def evidence_columns(cases: Sequence[CasePrediction], classes: Sequence[str]) -> tuple[str, ...]:
    """Columns of the cases' evidence: those of the first case that has some."""
    first = next((case.evidence for case in cases if case.evidence), {})
    return tuple(_flat(first, classes))


def read_cases(file: Path) -> CaseTable:
    """The cases as they were written; an empty cell is undefined.

    Raises:
        BadInput: The file is no `cases.csv`.
    """
    with file.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        header = list(reader.fieldnames or ())
        rows = list(reader)
    if header[: len(FIRST)] != list(FIRST):
        raise BadInput(f"the columns are {header[:4]}", where=str(file), remedy="give cases.csv of `thaw evaluate`")
    columns = tuple(name for name in header if name.startswith(EVIDENCE))
    scores = [name for name in header[len(FIRST) :] if name not in columns]
    systems: dict[str, list[CasePrediction]] = {}
    for row in rows:
        told = {name: _number(row[name], file) for name in scores}
        case = CasePrediction(row["id"], row["label"], row["group"], told, evidence=_evidence(row, columns, file))
        systems.setdefault(row["system"], []).append(case)
    return CaseTable(systems, columns)


def _flat(evidence: Mapping[str, NDArray[np.float64]], classes: Sequence[str]) -> dict[str, float]:
    """Numbers by column, in the arrays' order."""
    found: dict[str, float] = {}
    for name, array in evidence.items():
        if array.ndim > 1:
            raise ValueError(f"evidence {name!r} of a case has {array.ndim} dimensions; a table holds one at most")
        if array.ndim == 0:
            found[f"{EVIDENCE}{name}"] = float(array)
            continue
        named = len(classes) == len(array) == len(set(classes))
        heads = classes if named else [str(number) for number in range(len(array))]
        found |= {f"{EVIDENCE}{name}:{head}": float(value) for head, value in zip(heads, array, strict=True)}
    return found


def _evidence(row: Mapping[str, str], columns: Sequence[str], file: Path) -> dict[str, NDArray[np.float64]]:
    """Arrays by name; none at all for a case without evidence."""
    if all(not row[column] for column in columns):
        return {}
    collected: dict[str, list[float]] = {}
    single: set[str] = set()
    for column in columns:
        name, colon, _ = column.removeprefix(EVIDENCE).partition(":")
        collected.setdefault(name, []).append(_number(row[column], file))
        if not colon:
            single.add(name)
    return {name: np.asarray(found[0] if name in single else found) for name, found in collected.items()}


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else repr(float(value))


def _number(cell: str, file: Path) -> float:
    try:
        return float(cell) if cell else math.nan
    except ValueError as error:
        raise BadInput(f"{cell!r} is no number", where=str(file), remedy="give cases.csv of `thaw evaluate`") from error
