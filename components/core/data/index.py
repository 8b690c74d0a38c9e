"""The index of a prepared dataset: one row per case in `index.parquet`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.digest import digest_values
from components.core.errors import BadInput

INDEX = "index.parquet"
FIXED = ("id", "group", "stratum", "split", "shard", "source_sha256")

Attribute = str | int | float


@dataclass(frozen=True)
class Row:
    """One case of a prepared dataset.

    Attributes:
        id: Unique id.
        group: Patient or source.
        stratum: Label that splits keep in proportion; empty where there is no label.
        split: train, val, test, calibration or unlabelled.
        shard: File that holds its arrays.
        source_sha256: Digest of the raw files it came from.
        attributes: What else the recipe noted (caption, spacing_mm, ...); absent ones are left out.
    """

    id: str
    group: str
    stratum: str
    split: str
    shard: str
    source_sha256: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


def write_index(folder: Path, rows: Sequence[Row]) -> None:
    """Write the index, one column per attribute.

    Raises:
        ValueError: An attribute has a reserved name, or texts in some rows and numbers in others.
    """
    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in FIXED}
    for name in sorted({name for row in rows for name in row.attributes}):
        if name in columns:
            raise ValueError(f"attribute {name!r} has the name of a column of every index")
        columns[name] = _column(name, [row.attributes.get(name) for row in rows])
    pq.write_table(pa.table(columns), folder / INDEX, compression="zstd")


def _column(name: str, values: list[Attribute | None]) -> Any:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pa.array([None if value is None else float(value) for value in values])
    if len(kinds) != 1:
        raise ValueError(f"attribute {name!r} mixes {sorted(kind.__name__ for kind in kinds)}")
    return pa.array(values)


def read_index(folder: Path) -> list[Row]:
    """Read the index.

    Raises:
        BadInput: It cannot be read.
    """
    path = folder / INDEX
    try:
        records = pq.read_table(path).to_pylist()
        return [_row(record) for record in records]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise BadInput(f"the index cannot be read: {error}", where=str(path), remedy="run prepare again") from error


def _row(record: dict[str, Any]) -> Row:
    fixed = {name: record.pop(name) for name in FIXED}
    return Row(**fixed, attributes={name: value for name, value in record.items() if value is not None})


def digest_rows(rows: Sequence[Row]) -> str:
    """Digest of the rows' values, whatever library wrote the file."""
    return digest_values([[*(getattr(row, name) for name in FIXED), dict(row.attributes)] for row in rows])
