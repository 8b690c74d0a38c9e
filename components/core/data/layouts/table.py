"""A CSV table with one case per row: image, mask, and optionally id, prompt, caption, group, stratum.

Files are named relative to the table's folder. An empty mask cell says that there is nothing to segment.
"""

from pathlib import Path

from components.core.data.images import stem
from components.core.data.layouts.cells import header_of, read_rows
from components.core.data.layouts.found import Found, inside, mask_files
from components.core.errors import BadInput

REQUIRED = ("image", "mask")
OPTIONAL = ("id", "prompt", "caption", "group", "stratum")


def fits(raw: Path) -> bool:
    """Is there one table, and has it the two columns?"""
    tables = sorted(raw.glob("*.csv"))
    return len(tables) == 1 and set(REQUIRED) <= set(header_of(tables[0]))


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
    return [_found(raw, place, cells) for place, cells in read_rows(tables[0], REQUIRED, OPTIONAL)]


def _found(raw: Path, place: Path, cells: dict[str, str]) -> Found:
    image = inside(raw, cells["image"], source=place)
    masks = [inside(raw, cells["mask"], source=place)] if cells["mask"] else []
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
