"""Outputs of a stage: all of them in place with a record of the run that made them, or none.

Made under temporary names beside their places and renamed when all are there. The record beside the first one tells
what run made them and what they held, so that the same run again is known to be finished.
"""

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from components.core.digest import digest_path
from components.core.errors import Temporary
from components.core.store import durable


def is_finished(record: dict[str, Any], outputs: Any) -> bool:
    """Do the outputs exist, unharmed, as made by a run with this record?"""
    paths = paths_of(outputs)
    if not all(path.exists() for path in paths.values()):
        return False
    file = record_file(outputs)
    if not file.exists():
        return False
    written = json.loads(file.read_text(encoding="utf-8"))
    made = written.pop("outputs", None)
    return bool(written == record and made == {name: digest_path(path) for name, path in paths.items()})


def is_published(outputs: Any) -> bool:
    """Has some run of the stage finished here? Whether it was this configuration's is for `is_finished` to say."""
    return record_file(outputs).exists() and all(path.exists() for path in paths_of(outputs).values())


@contextmanager
def alone(name: str, outputs: Any) -> Iterator[None]:
    """Nobody else makes these outputs meanwhile; the lock of a killed process is gone with it."""
    file = record_file(outputs).with_suffix(".lock")
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise Temporary(
            f"{name}: another process is making these outputs", where=str(file), remedy="wait for it, or name others"
        ) from error
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def paths_of(ports: Any) -> dict[str, Path]:
    """Path by name of every port that is given."""
    pairs = ((field.name, getattr(ports, field.name)) for field in dataclasses.fields(ports))
    return {name: path for name, path in pairs if path is not None}


def unfinished(outputs: Any) -> Any:
    """The same ports, each with a temporary name in the same folder (so that renaming is atomic)."""
    changed = {}
    for name, path in paths_of(outputs).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        changed[name] = path.with_name(f".{path.name}.unfinished")
        discard(changed[name])
    return dataclasses.replace(outputs, **changed)


def digests_of(ports: Any) -> dict[str, str]:
    """Content digest by name of every port that is given."""
    return {name: digest_path(path) for name, path in paths_of(ports).items()}


def publish(staged: Any, outputs: Any, record: dict[str, Any]) -> None:
    """Put outputs in place that were made under their temporary names, and record the run that made them.

    Raises:
        RuntimeError: One of them was not made.
    """
    made = paths_of(staged)
    missing = [name for name, path in made.items() if not path.exists()]
    if missing:
        raise RuntimeError(f"the stage returned without making its outputs {missing}")
    record = {**record, "outputs": digests_of(staged)}
    record_file(outputs).unlink(missing_ok=True)
    for name, path in paths_of(outputs).items():
        discard(path)
        made[name].rename(path)
    text = json.dumps(record, indent=1, sort_keys=True) + "\n"
    durable.replace(record_file(outputs), text.encode())


def record_file(outputs: Any) -> Path:
    """Where the record of the run is kept: beside the first output."""
    first = next(iter(paths_of(outputs).values()))
    return first.with_name(f"{first.name}.stage.json")


def discard(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
