"""The run's history: one JSON object a line, appended whole, and cut back to the step a run resumes from."""

import json
import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import BadInput

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
        """Drop the rows after `step`, and a last line that a kill cut short.

        Raises:
            BadInput: A line in the middle of the file is not JSON.
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
    """Read the rows of a history; an unfinished last line is left out.

    Raises:
        BadInput: A line other than the last is not a JSON object with a step.
    """
    *lines, rest = path.read_text(encoding="utf-8").split("\n")
    if rest:
        log.warning("left out the unfinished last line of %s", path)
    return [_parse(line, number, path) for number, line in enumerate(lines, start=1)]


def _parse(line: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        raise BadInput("not a row of a history", where=f"{path}, line {number}", remedy="restart the stage: --restart")
    return row


def _identity(row: Mapping[str, Any]) -> tuple[Any, Any]:
    return row["kind"], row["step"]


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(_finite(row), separators=(",", ":"), allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
