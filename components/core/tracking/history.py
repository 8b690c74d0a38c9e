"""The run's history: one JSON object a line, appended whole, and cut back to the step a run resumes from."""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)


class History:
    """Rows of one stage, each with `kind` and `step`.

    A fresh run starts a new file with its first row; `resume` keeps what the resumed checkpoint has seen, so an
    interrupted run leaves the rows of an uninterrupted one.

    Args:
        path: The file; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None
        self._kept: set[tuple[Any, Any]] = set()

    def resume(self, step: int) -> None:
        """Drop the rows after `step`, and what is damaged: a line that is no row, and all after it.

        The history is what people look at; no result depends on it, so the damage is logged and stops nothing.
        """
        self.close()
        rows = [row for row in read_history(self.path) if row["step"] <= step] if self.path.exists() else []
        self._kept = {_identity(row) for row in rows if row["step"] == step}
        partial = self.path.with_name(f".{self.path.name}.unfinished")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(map(_line, rows)), encoding="utf-8")
        os.replace(partial, self.path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND)

    def append(self, row: Mapping[str, Any]) -> None:
        """Append a row; one write, so that a reader or a kill sees whole lines or none.

        A row of the resumed step that was kept (a validation done just before the kill) is not written twice.
        Values that are not finite are written as null: JSON has no NaN.
        """
        if _identity(row) in self._kept:
            return
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        os.write(self._file, _line(row).encode())

    def close(self) -> None:
        """Flush to the disk and close. May be called twice; a later append would start a new file."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
        self._file = None


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read the rows of a history up to the first line that is none, which is logged: it was cut short or damaged."""
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
        row = _parse(line)
        if row is None:
            log.warning("%s is damaged or cut short at line %d: left out from there on", path, number)
            break
        rows.append(row)
    return rows


def _parse(line: bytes) -> dict[str, Any] | None:
    """The row of a whole line; None where it is none."""
    try:
        row = json.loads(line.decode())
    except ValueError:
        return None
    whole = line.endswith(b"\n") and isinstance(row, dict) and isinstance(row.get("step"), int) and "kind" in row
    return row if whole else None


def _identity(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["kind"], row["step"]


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(_finite(row), separators=(",", ":"), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
