"""A CSV table with one picture per row: image, label, and optionally id and group.

Files are named relative to the table's folder. An empty label says that nobody labelled the picture. Other tables
may lie beside it.
"""

from pathlib import Path

from components.core.data.images import stem
from components.core.data.layouts.cells import column_of, header_of, read_rows
from components.core.data.layouts.found import Found, inside, mask_files
from components.core.errors import BadInput

REQUIRED = ("image", "label")
OPTIONAL = ("id", "group")


def fits(raw: Path) -> bool:
    """Is there a table with the two columns?

    Raises:
        BadInput: There is none, but one with one of the two columns, and it does not say what the class folders say: to
            pass it over would take the folders that its pictures lie in for classes.
    """
    if _with_columns(raw):
        return True
    for table in sorted(raw.glob("*.csv")):
        header = header_of(table)
        present = [name for name in REQUIRED if name in header]
        if present and not _says_what_the_folders_say(table):
            absent = next(name for name in REQUIRED if name not in header)
            raise BadInput(
                f"the table has a column {present[0]!r} and no column {absent!r}; it has {', '.join(header)}",
                where=str(table),
                remedy=f"name the column {absent!r}, or set recipe.data.layout=folders if the folders are the classes",
            )
    return False


def find(raw: Path) -> list[Found]:
    """List the pictures; the label is the stratum, empty where there is none.

    Raises:
        BadInput: There is not exactly one such table, columns are missing or unknown, or a row names no file.
    """
    tables = sorted(raw.glob("*.csv"))
    chosen = _with_columns(raw) or tables
    if len(chosen) != 1:
        raise BadInput(
            f"{len(chosen)} CSV tables of {len(tables)} may be meant, 1 is read",
            where=", ".join(str(table) for table in chosen) or str(raw),
            remedy=f"keep one .csv file with the columns {', '.join(REQUIRED)}",
        )
    return [_found(raw, place, cells) for place, cells in read_rows(chosen[0], REQUIRED, OPTIONAL)]


def _with_columns(raw: Path) -> list[Path]:
    return [table for table in sorted(raw.glob("*.csv")) if set(REQUIRED) <= set(header_of(table))]


def _says_what_the_folders_say(table: Path) -> bool:
    """Do its labels name the folders beside it? An index of class folders is no other division into classes."""
    labels = set(column_of(table, "label")) - {""}
    return bool(labels) and all((table.parent / label).is_dir() for label in labels)


def _found(raw: Path, place: Path, cells: dict[str, str]) -> Found:
    image = inside(raw, cells["image"], source=place)
    relative = Path(cells["image"])
    return Found(
        id=cells.get("id") or (relative.parent / stem(relative)).as_posix(),
        image=image,
        sources=(image,),
        mask=mask_files([]),
        stratum=cells["label"],
        group=cells.get("group") or None,
    )
