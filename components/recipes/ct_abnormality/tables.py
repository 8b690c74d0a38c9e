"""CSV tables with one row per volume: read strictly, and matched with the volumes that there are."""

import csv
import difflib
import io
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.data.files import read_text
from components.core.errors import BadInput
from components.recipes.ct_abnormality.layout import Found, names_of, stem_of

VOLUME_COLUMNS = ("VolumeName", "volume", "volume_name", "id", "file", "filename", "name")
"""Columns that may name the volume, CT-RATE's first; compared without regard to case."""

LISTED = 5


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        volume: The name in it.
        cells: By column, stripped.
        place: `FILE:LINE`, for messages.
    """

    volume: str
    cells: Mapping[str, str]
    place: str


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        path: Its file.
        header: Names of the columns.
        volume: The column that names the volume; empty where there is none.
        rows: All rows.
    """

    path: Path
    header: tuple[str, ...]
    volume: str
    rows: tuple[TableRow, ...]

    def require(self, column: str) -> None:
        """Refuse a table that lacks a column. Raises BadInput, naming the nearest."""
        if column not in self.header:
            raise BadInput(
                f"the table lacks the column {column!r}{nearest(column, self.header)}",
                where=str(self.path),
                remedy=f"it has {', '.join(self.header)}",
            )

    def require_volumes(self) -> None:
        """Refuse a table whose rows name no volume. Raises BadInput."""
        if not self.volume:
            raise BadInput(
                f"no column names the volume{nearest(VOLUME_COLUMNS[0], self.header)}",
                where=str(self.path),
                remedy=f"call it {' or '.join(VOLUME_COLUMNS[:3])}; the table has {', '.join(self.header)}",
            )


def nearest(name: str, known: Collection[str]) -> str:
    """A hint at the nearest spelling, empty where nothing is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def read_table(path: Path) -> Table:
    """Read a table.

    Raises:
        BadInput: It is no CSV table, repeats a column, or has a row of another length.
    """
    try:
        lines = list(csv.reader(io.StringIO(read_text(path)), strict=True))
    except csv.Error as error:
        raise BadInput(f"not a valid CSV table: {error}", where=str(path), remedy="mend the row") from error
    header = tuple(name.strip() for name in lines[0]) if lines else ()
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise BadInput(f"the column {repeated[0]!r} is repeated", where=str(path), remedy="remove or rename one")
    wanted = [name.lower() for name in VOLUME_COLUMNS]
    named = sorted((wanted.index(name.lower()), name) for name in header if name.lower() in wanted)
    volume = named[0][1] if named else ""
    rows = [_row(path, line, header, volume, cells) for line, cells in enumerate(lines[1:], start=2) if cells]
    return Table(path, header, volume, tuple(rows))


def _row(path: Path, line: int, header: Sequence[str], volume: str, cells: Sequence[str]) -> TableRow:
    place = f"{path}:{line}"
    if len(cells) != len(header):
        raise BadInput(f"a row of {len(cells)} cells under {len(header)} columns", where=place, remedy="mend the row")
    by_name = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    if volume and not by_name[volume]:
        raise BadInput(f"the row names no volume in {volume!r}", where=place, remedy="name it, or remove the row")
    return TableRow(by_name.get(volume, ""), by_name, place)


def match(table: Table, found: Sequence[Found], raw: Path) -> dict[str, TableRow]:
    """The rows of the volumes that there are, by id.

    Raises:
        BadInput: A name may mean several volumes, or a volume is named twice.
    """
    table.require_volumes()
    names = names_of(found, raw)
    rows: dict[str, TableRow] = {}
    for row in table.rows:
        meant = names.get(row.volume) or names.get(stem_of(row.volume)) or []
        if len(meant) > 1:
            raise BadInput(
                f"{row.volume!r} may mean {len(meant)} volumes: {', '.join(item.id for item in meant[:LISTED])}",
                where=row.place,
                remedy="write paths below the raw folder",
            )
        for item in meant:
            if item.id in rows:
                raise BadInput(
                    f"the volume {item.id!r} is named twice",
                    where=f"{rows[item.id].place}, {row.place}",
                    remedy="keep one row for every volume",
                )
            rows[item.id] = row
    return rows


def number(row: TableRow, column: str) -> float:
    """A finite number. Raises BadInput."""
    try:
        value = float(row.cells[column])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(
            f"{column!r} holds {row.cells[column]!r}, which is no number", where=row.place, remedy="correct the cell"
        )
    return value
