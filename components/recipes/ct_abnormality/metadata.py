"""CT-RATE's metadata table: rescaling and spacing of the volumes of its first release, whose files lack both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import BadInput
from components.core.volumes.hounsfield import Rescaling
from components.recipes.ct_abnormality.layout import Found
from components.recipes.ct_abnormality.tables import Table, match, number

SLOPE, INTERCEPT, XY, Z = "RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing"


@dataclass(frozen=True)
class VolumeMetadata:
    """What the table says of a volume.

    Attributes:
        rescaling: From stored values to Hounsfield units.
        spacing_zyx: Millimetres between slices, rows, columns; None where the table does not say.
    """

    rescaling: Rescaling
    spacing_zyx: tuple[float, float, float] | None


def is_metadata(table: Table) -> bool:
    """Has it the columns?"""
    return {SLOPE, INTERCEPT} <= set(table.header)


def read_metadata(tables: Sequence[Table], found: Sequence[Found], raw: Path) -> Mapping[str, VolumeMetadata]:
    """What the tables say of the volumes that there are, by id; rows of others are not looked at.

    Raises:
        BadInput: A column is missing, a volume is named twice, or a cell holds no number.
    """
    known: dict[str, VolumeMetadata] = {}
    for table in tables:
        for name in (SLOPE, INTERCEPT):
            table.require(name)
        for item, row in match(table, found, raw).items():
            if item in known:
                raise BadInput(
                    f"the volume {item!r} is named twice", where=row.place, remedy="keep one row for every volume"
                )
            rescaling = Rescaling(number(row, SLOPE), number(row, INTERCEPT))
            known[item] = VolumeMetadata(rescaling, _spacing(row.cells, row.place))
    return known


def _spacing(cells: Mapping[str, str], place: str) -> tuple[float, float, float] | None:
    """`[0.7, 0.7]` (columns first, as the headers of the archive have them) and `1.5`."""
    plane, z = cells.get(XY, ""), cells.get(Z, "")
    if not plane or not z:
        return None
    try:
        x, y = (float(word) for word in plane.strip("[]() ").split(","))
        spacing = float(z), y, x
    except ValueError as error:
        raise BadInput(
            f"{XY} {plane!r} and {Z} {z!r} are no spacing", where=place, remedy="write [0.7, 0.7] and 1.5"
        ) from error
    if not all(0 < side < float("inf") for side in spacing):
        raise BadInput(f"{XY} {plane!r} and {Z} {z!r} are no spacing", where=place, remedy="give millimetres above 0")
    return spacing
