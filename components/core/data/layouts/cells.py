"""Reading CSV tables strictly: known columns, whole rows, stripped cells."""

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path

from components.core.data.files import read_text
from components.core.errors import BadInput


def header_of(table: Path) -> list[str]:
    """The first row.

    Raises:
        BadInput: The file cannot be read as text.
    """
    return next(csv.reader(io.StringIO(read_text(table))), [])


def column_of(table: Path, name: str) -> list[str]:
    """The stripped cells of one column, whatever the others are; none where there is no such column.

    Raises:
        BadInput: The file cannot be read as text, or is no CSV table.
    """
    return [(row.get(name) or "").strip() for row in _rows(table)]


def read_rows(table: Path, required: Sequence[str], optional: Sequence[str]) -> list[tuple[Path, dict[str, str]]]:
    """The rows as cells by column, stripped, each with its place "FILE:LINE" for messages.

    The first required column names the row's file and must not be empty.

    Raises:
        BadInput: A column is missing, unknown or repeated, or a row is malformed.
    """
    _check_header(table, header_of(table), required, optional)
    return [
        (Path(f"{table}:{number}"), _cells(table, number, row, required[0]))
        for number, row in enumerate(_rows(table), start=2)
    ]


def _rows(table: Path) -> list[dict[str, str | None]]:
    try:
        return list(csv.DictReader(io.StringIO(read_text(table)), strict=True))
    except csv.Error as error:
        raise BadInput(f"not a valid CSV table: {error}", where=str(table), remedy="mend the row") from error


def _check_header(table: Path, header: Sequence[str], required: Sequence[str], optional: Sequence[str]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise BadInput(
            f"the table lacks the column(s) {', '.join(missing)}; it has {', '.join(header) or 'none'}",
            where=str(table),
            remedy=f"needed: {', '.join(required)}; known besides: {', '.join(optional)}",
        )
    known = (*required, *optional)
    for name in header:
        if name not in known or list(header).count(name) > 1:
            near = difflib.get_close_matches(name, optional, n=1)
            hint = f"; did you mean {near[0]!r}?" if near and near[0] != name else ""
            raise BadInput(
                f"the table has the unknown or repeated column {name!r}{hint}",
                where=str(table),
                remedy=f"rename or remove it; known are {', '.join(known)}",
            )


def _cells(table: Path, number: int, row: dict[str, str | None], file: str) -> dict[str, str]:
    # A short row has None cells, a long one a None key.
    cells = {name: (value or "").strip() for name, value in row.items() if name is not None}
    if None in row or not cells[file]:
        raise BadInput(
            f"row {number} is malformed", where=str(table), remedy=f"give every row its {file}, and no more cells"
        )
    return cells
