"""Which CSV tables of a raw folder hold labels, and which CT-RATE's metadata."""

from collections.abc import Sequence
from pathlib import Path

from components.core.errors import BadInput
from components.recipes.ct_abnormality.label_table import looks_like_labels
from components.recipes.ct_abnormality.metadata import is_metadata
from components.recipes.ct_abnormality.tables import LISTED, Table, read_table

AUTO, NONE = "auto", "none"


def choose_tables(raw: Path, labels: str, metadata: str) -> tuple[list[Table], list[Table]]:
    """Read the tables of labels and those of metadata.

    Args:
        raw: Folder below which they lie.
        labels: A path or pattern below it, `auto` or `none`.
        metadata: Likewise.

    Raises:
        BadInput: A pattern matches nothing, a table is malformed, or tables are there of which none can be the labels.
    """
    found: list[Table] = []
    if AUTO in (labels, metadata):
        found = [read_table(path) for path in sorted(raw.rglob("*.csv")) if path.is_file()]
    about = [table for table in found if is_metadata(table)] if metadata == AUTO else _named(raw, metadata, "metadata")
    if labels != AUTO:
        return _named(raw, labels, "labels"), about
    others = [table for table in found if not is_metadata(table)]
    chosen = [table for table in others if looks_like_labels(table)]
    if others and not chosen:
        raise BadInput(
            f"none of {len(others)} CSV table(s) can be the labels: one column that names the volume, and 0 or 1 in"
            " all others",
            where=", ".join(str(table.path) for table in others[:LISTED]),
            remedy="name it in data.labels and its labels in data.label_columns; data.labels: none wants no labels",
        )
    return chosen, about


def _named(raw: Path, pattern: str, key: str) -> list[Table]:
    if pattern == NONE:
        return []
    paths: Sequence[Path] = [] if Path(pattern).is_absolute() else sorted(raw.glob(pattern))
    files = [path for path in paths if path.is_file() and path.resolve().is_relative_to(raw.resolve())]
    if not files:
        raise BadInput(
            f"data.{key} {pattern!r} matches no file",
            where=str(raw),
            remedy=f"give a path or pattern below that folder, {AUTO!r} or {NONE!r}",
        )
    return [read_table(path) for path in files]
