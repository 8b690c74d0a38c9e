"""A CSV table with one case per row: image, mask, and optionally id, prompt, caption, group, stratum.

Files are named relative to the table's folder. An empty mask cell says that there is nothing to segment.
"""

import csv
import difflib
import io
from collections.abc import Sequence
from pathlib import Path

from components.core.data.files import read_text
from components.core.data.images import stem
from components.core.data.layouts.found import Found, inside, mask_files
from components.core.errors import BadInput

REQUIRED = ("image", "mask")
OPTIONAL = ("id", "prompt", "caption", "group", "stratum")


def fits(raw: Path) -> bool:
    """Is there one table, and has it the two columns?"""
    tables = sorted(raw.glob("*.csv"))
    return len(tables) == 1 and set(REQUIRED) <= set(_header(tables[0]))


def find(raw: Path) -> list[Found]:
    """List the cases.

    Raises:
        BadInput: There is not exactly one table, columns are missing or unknown, or a row names no file.
    """
    tables = sorted(raw.glob("*.csv"))
    if len(tables) != 1:
        raise BadInput(
            f"{len(tables)} CSV tables, 1 is read", where=str(raw), remedy="keep one .csv file in the folder"
        )
    table = tables[0]
    _check_header(table, _header(table))
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(table)), strict=True))
    except csv.Error as error:
        raise BadInput(f"not a valid CSV table: {error}", where=str(table), remedy="mend the row") from error
    return [_found(raw, table, number, row) for number, row in enumerate(rows, start=2)]


def _header(table: Path) -> list[str]:
    return next(csv.reader(io.StringIO(read_text(table))), [])


def _check_header(table: Path, header: Sequence[str]) -> None:
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise BadInput(
            f"the table lacks the column(s) {', '.join(missing)}; it has {', '.join(header) or 'none'}",
            where=str(table),
            remedy=f"needed: {', '.join(REQUIRED)}; known besides: {', '.join(OPTIONAL)}",
        )
    for name in header:
        if name not in REQUIRED + OPTIONAL or list(header).count(name) > 1:
            near = difflib.get_close_matches(name, OPTIONAL, n=1)
            hint = f"; did you mean {near[0]!r}?" if near and near[0] != name else ""
            raise BadInput(
                f"the table has the unknown or repeated column {name!r}{hint}",
                where=str(table),
                remedy=f"rename or remove it; known are {', '.join(REQUIRED + OPTIONAL)}",
            )


def _found(raw: Path, table: Path, number: int, row: dict[str, str | None]) -> Found:
    # A short row has None cells, a long one a None key.
    cells = {name: (value or "").strip() for name, value in row.items() if name is not None}
    if None in row or not cells["image"]:
        raise BadInput(
            f"row {number} is malformed", where=str(table), remedy="give every row its image, and no more cells"
        )
    source = Path(f"{table}:{number}")
    image = inside(raw, cells["image"], source=source)
    masks = [inside(raw, cells["mask"], source=source)] if cells["mask"] else []
    relative = Path(cells["image"])
    return Found(
        id=cells.get("id") or (relative.parent / stem(relative)).as_posix(),
        image=image,
        sources=(image, *masks),
        mask=mask_files(masks),
        stratum=cells.get("stratum") or "all",
        group=cells.get("group") or None,
        texts={name: cells[name] for name in ("prompt", "caption") if cells.get(name)},
    )
