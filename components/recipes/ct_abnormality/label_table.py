"""Labels of volumes from CSV tables: CT-RATE's 18, or whatever the columns are called."""

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import BadInput
from components.recipes.ct_abnormality.labels import LABELS
from components.recipes.ct_abnormality.layout import Found, stem_of
from components.recipes.ct_abnormality.tables import LISTED, Table, TableRow, match, nearest

GROUP = "group"
"""Column that names the patient."""

UNKNOWN = frozenset({"", "nan", "na", "none"})
LOOKED_AT = 20
"""Rows by which a table is taken for one of labels."""


@dataclass(frozen=True)
class Labelling:
    """What the tables say.

    Attributes:
        names: Of the labels, in order; none where there is no table.
        values: Value by label, by id of a volume that there is; NaN where unknown.
        groups: Patient by id, where a table says it.
        missing: Rows whose volume is not there.
    """

    names: tuple[str, ...]
    values: Mapping[str, Mapping[str, float]]
    groups: Mapping[str, str]
    missing: tuple[TableRow, ...]

    def of_row(self, row: TableRow) -> dict[str, float]:
        """The labels of one row."""
        return {name: _value(row, name) for name in self.names}


def looks_like_labels(table: Table) -> bool:
    """Does every column beside the volume's and the group's hold labels, or are most of CT-RATE's there?"""
    if not table.volume or not table.rows:
        return False
    others = [name for name in table.header if name not in (table.volume, GROUP)]
    if 2 * len(set(others) & set(LABELS)) >= len(LABELS):
        return True
    cells = [row.cells[name] for row in table.rows[:LOOKED_AT] for name in others]
    return bool(others) and all(_parse(cell) is not None for cell in cells)


def read_labels(tables: Sequence[Table], found: Sequence[Found], raw: Path, names: Sequence[str] | None) -> Labelling:
    """Read the labels.

    Args:
        tables: All have the same labels, of different volumes.
        found: The volumes that there are.
        names: Labels to take, in this order; None takes CT-RATE's 18 where most of them are there, else all columns.

    Raises:
        BadInput: A label's column is missing or misspelt, tables differ, a volume is named twice, a cell is no label.
    """
    if not tables:
        return Labelling((), {}, {}, ())
    chosen = [_columns(table, names) for table in tables]
    if any(other != chosen[0] for other in chosen):
        raise BadInput(
            "the tables have different labels",
            where=", ".join(str(table.path) for table in tables),
            remedy="name the ones to take in data.label_columns, or one table in data.labels",
        )
    rows: dict[str, TableRow] = {}
    missing: list[TableRow] = []
    for table in tables:
        own = match(table, found, raw)
        _refuse_twice(rows, own)
        rows |= own
        there = {row.place for row in own.values()}
        missing += [row for row in table.rows if row.place not in there]
    _refuse_repeated(missing)
    values = {item: {name: _value(row, name) for name in chosen[0]} for item, row in rows.items()}
    groups = {item: group for item, row in rows.items() if (group := row.cells.get(GROUP))}
    return Labelling(chosen[0], values, groups, tuple(missing))


def _columns(table: Table, names: Sequence[str] | None) -> tuple[str, ...]:
    """The labels of a table, in order."""
    table.require_volumes()
    others = [name for name in table.header if name not in (table.volume, GROUP)]
    ct_rate = 2 * len(set(others) & set(LABELS)) >= len(LABELS)
    wanted = tuple(names) if names is not None else LABELS if ct_rate else tuple(others)
    for name in wanted:
        table.require(name)
    if names is None and (strange := [name for name in others if name not in wanted]):
        raise BadInput(
            f"the table has the column {strange[0]!r}, which is none of the {len(wanted)} labels"
            f"{nearest(strange[0], wanted)}",
            where=str(table.path),
            remedy="remove it, or name the labels to take in data.label_columns",
        )
    if not wanted:
        raise BadInput("the table has no labels", where=str(table.path), remedy="give it one column for each")
    return wanted


def _refuse_twice(rows: Mapping[str, TableRow], own: Mapping[str, TableRow]) -> None:
    for item in sorted(set(rows) & set(own)):
        raise BadInput(
            f"the volume {item!r} is named twice",
            where=f"{rows[item].place}, {own[item].place}",
            remedy="keep one row for every volume",
        )


def _refuse_repeated(rows: Sequence[TableRow]) -> None:
    seen: dict[str, TableRow] = {}
    for row in rows:
        name = stem_of(row.volume)
        if name in seen:
            raise BadInput(
                f"the volume {row.volume!r} is named twice",
                where=f"{seen[name].place}, {row.place}",
                remedy="keep one row for every volume",
            )
        seen[name] = row


def refuse_misspelt(missing: Sequence[TableRow], unnamed: Sequence[Found]) -> None:
    """Refuse rows of volumes that are not there beside volumes that no row names: one of them is misspelt.

    Raises:
        BadInput: There are both.
    """
    if not missing or not unnamed:
        return
    names = {stem_of(item.path.name): item.id for item in unnamed}
    hints = []
    for row in missing[:LISTED]:
        near = difflib.get_close_matches(stem_of(row.volume), names, n=1)
        hints.append(f"{row.volume!r}" + (f" (did you mean {names[near[0]]!r}?)" if near else ""))
    more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
    others = ", ".join(repr(item.id) for item in unnamed[:LISTED])
    raise BadInput(
        f"the labels name {len(missing)} unknown volume(s), {', '.join(hints)}{more}, while {len(unnamed)} volume(s)"
        f" have no labels: {others}",
        where=missing[0].place,
        remedy="correct the names; or say data.unlabelled: keep if these volumes have no labels on purpose",
    )


def refuse_unnamed(unnamed: Sequence[Found]) -> None:
    """Refuse volumes that no row names. Raises BadInput."""
    if unnamed:
        more = f" and {len(unnamed) - LISTED} more" if len(unnamed) > LISTED else ""
        raise BadInput(
            f"{len(unnamed)} volume(s) have no labels: {', '.join(repr(item.id) for item in unnamed[:LISTED])}{more}",
            where=str(unnamed[0].path),
            remedy="add their rows, leave them out by data.exclude, or keep them for pretrain: data.unlabelled: keep",
        )


def _value(row: TableRow, name: str) -> float:
    value = _parse(row.cells[name])
    if value is None:
        raise BadInput(
            f"the label {name!r} is {row.cells[name]!r}",
            where=row.place,
            remedy="write 1, 0, a number between, or nothing where it is unknown",
        )
    return value


def _parse(cell: str) -> float | None:
    """A label in [0, 1], NaN where it is unknown, None where the cell is no label."""
    if cell.lower() in UNKNOWN:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None
