"""A store in a folder."""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from components.core.store import durable
from components.core.store.errors import Conflict, NotFound, TooLarge
from components.core.store.locking import locked
from components.core.store.protocol import Entry, Versioned, check_key, check_prefix, writer_of

LOCK = ".lock"
"""Held around compare-and-write; names that start with a dot are no objects."""


class LocalStore:
    """Objects are files below `root`; every write is whole and durable when the call returns."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def uri(self) -> str:
        return str(self.root)

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        return self.get_versioned(key, limit=limit).data

    def get_versioned(self, key: str, *, limit: int | None = None) -> Versioned:
        path = self._path(key)
        with durable.explained(path):
            try:
                with path.open("rb") as stream:
                    status = os.fstat(stream.fileno())
                    if limit is not None and status.st_size > limit:
                        raise TooLarge(status.st_size, limit, str(path))
                    return Versioned(stream.read(), _version(status))
            except FileNotFoundError as error:
                raise self._absent(key) from error

    def put(self, key: str, data: bytes) -> str:
        path = self._path(key)
        with durable.explained(path):
            return _version(durable.replace(path, data))

    def put_if_absent(self, key: str, data: bytes) -> str:
        path = self._path(key)
        with durable.explained(path):
            try:
                return _version(durable.create(path, data))
            except FileExistsError:
                return self._same_or_conflict(key, data)
            except durable.LinksUnsupported:
                with locked(self.root / LOCK, wait=True):
                    return self._same_or_conflict(key, data) if path.exists() else self.put(key, data)

    def put_if_match(self, key: str, data: bytes, version: str) -> str:
        path = self._path(key)
        with durable.explained(path), locked(self.root / LOCK, wait=True):
            status = _status(path)
            if status is not None and _version(status) == version:
                return self.put(key, data)
            return self._same_or_conflict(key, data)

    def _same_or_conflict(self, key: str, data: bytes) -> str:
        try:
            found = self.get_versioned(key)
        except NotFound as error:
            raise Conflict(
                "the object was deleted by another writer", where=f"{self.uri}/{key}", remedy="stop the other run"
            ) from error
        if found.data == data:
            return found.version
        raise Conflict(
            f"already written by {writer_of(found.data)}", where=f"{self.uri}/{key}", remedy="stop the other run"
        )

    def head(self, key: str) -> Entry:
        path = self._path(key)
        with durable.explained(path):
            try:
                return _entry(key, path.stat())
            except FileNotFoundError as error:
                raise self._absent(key) from error

    def list(self, prefix: str = "") -> Sequence[Entry]:
        with durable.explained(self.root):
            found = {path.relative_to(self.root).as_posix(): path for path in self._files(check_prefix(prefix))}
            return [_entry(key, status) for key in sorted(found) if (status := _status(found[key])) is not None]

    def _files(self, prefix: str) -> Iterator[Path]:
        for folder, folders, files in os.walk(self.root / prefix.rpartition("/")[0]):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                path = Path(folder) / name
                if not name.startswith(".") and path.relative_to(self.root).as_posix().startswith(prefix):
                    yield path

    def delete(self, key: str) -> None:
        path = self._path(key)
        with durable.explained(path):
            path.unlink(missing_ok=True)

    def conditional_writes(self) -> bool:
        return True

    def tidy(self, grace: float) -> int:
        removed = 0
        with durable.explained(self.root):
            for path in self.root.rglob(f"{durable.TEMPORARY}*"):
                status = _status(path)
                if status is not None and time.time() - status.st_mtime > grace:
                    path.unlink(missing_ok=True)
                    removed += 1
        return removed

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _absent(self, key: str) -> NotFound:
        return NotFound("no such object", where=f"{self.uri}/{key}", remedy="check the address")


def _status(path: Path) -> os.stat_result | None:
    """None for a file that vanished meanwhile: another process deleted or renamed it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _version(status: os.stat_result) -> str:
    """Every write makes a new file; its time tells it from an older one whose inode number it was given."""
    return f"{status.st_ino:x}-{status.st_mtime_ns:x}-{status.st_size:x}"


def _entry(key: str, status: os.stat_result) -> Entry:
    return Entry(key, status.st_size, _version(status), max(0.0, time.time() - status.st_mtime))
