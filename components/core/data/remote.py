"""Raw data that lie elsewhere: which files to take, what room they need, and fetching them so that a kill costs one."""

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from components.core.errors import BadInput
from components.core.volumes.open import is_volume_file

RESERVE = 1 << 30
"""Bytes of the disk that stay free."""

FIXED = "_fixed"
"""Ending of the folders of CT-RATE's second release; its tables are those of the first."""


@dataclass(frozen=True)
class RemoteFile:
    """A file elsewhere.

    Attributes:
        name: Path below the source, with `/`.
        size: Bytes.
    """

    name: str
    size: int


class RemoteData(Protocol):
    """A place that raw data are fetched from."""

    def files(self) -> Iterable[RemoteFile]:
        """All files. Raises BadInput (no such place, no access) or Temporary."""

    def fetch(self, file: RemoteFile, folder: Path) -> None:
        """Write a file to its name below a folder, whole or not at all. Raises BadInput or Temporary."""


@dataclass(frozen=True)
class Plan:
    """What is to be fetched.

    Attributes:
        files: All that were chosen, tables first.
        missing: Those of them that are not there yet, whole.
        free: Bytes of the disk that are free.
    """

    files: Sequence[RemoteFile]
    missing: Sequence[RemoteFile]
    free: int

    @property
    def needed(self) -> int:
        """Bytes that fetching will add."""
        return sum(file.size for file in self.missing)

    def require_room(self, folder: Path) -> None:
        """Refuse to begin what the disk cannot hold. Raises BadInput."""
        if self.needed + RESERVE > self.free:
            raise BadInput(
                f"{self.needed / 1e9:.2f} GB are to be fetched, and {self.free / 1e9:.2f} GB of the disk are free, of"
                f" which {RESERVE / 1e9:.1f} GB stay so",
                where=str(folder),
                remedy="ask for fewer --volumes, or name a folder on another disk",
            )


def choose(files: Iterable[RemoteFile], split: str | None, volumes: int | None) -> list[RemoteFile]:
    """The first volumes of a split in their natural order, and everything else of it but other splits' files.

    Args:
        split: Folder that the volumes lie in (`train`, `valid_fixed`, ...), and beginning of the tables' names; None
            takes all.
        volumes: How many; None takes all.

    Raises:
        BadInput: There are no volumes.
    """
    listed = list(files)
    found = sorted((file for file in listed if is_volume_file(Path(file.name))), key=lambda file: _natural(file.name))
    chosen = [file for file in found if split is None or split in PurePosixPath(file.name).parts[:-1]]
    if not chosen:
        folders = sorted({parent for file in found for parent in PurePosixPath(file.name).parts[:-1]})[:20]
        raise BadInput(
            f"no volumes lie in a folder {split!r}" if split else "no volumes lie there",
            where=", ".join(folders) or "an empty place",
            remedy="name one of these folders by --split" if folders else "correct the address",
        )
    tables = [file for file in listed if PurePosixPath(file.name).suffix == ".csv" and _belongs(file, split)]
    return [*sorted(tables, key=lambda file: file.name), *chosen[:volumes]]


def _belongs(file: RemoteFile, split: str | None) -> bool:
    return split is None or PurePosixPath(file.name).name.startswith(f"{split.removesuffix(FIXED)}_")


def _natural(name: str) -> list[tuple[int, str]]:
    """`train_2` before `train_10`."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", name)]


def plan(files: Sequence[RemoteFile], folder: Path) -> Plan:
    """Compare what was chosen with what is there; files of another size are fetched again.

    Raises:
        BadInput: A name leads out of the folder.
    """
    root = folder.resolve()
    for file in files:
        if not (root / file.name).resolve().is_relative_to(root):
            raise BadInput("a name leads out of the folder", where=file.name, remedy="do not use this source")
    missing = [file for file in files if not _is_there(folder / file.name, file.size)]
    there = next(path for path in (root, *root.parents) if path.exists())
    return Plan(files, missing, shutil.disk_usage(there).free)


def fetch(source: RemoteData, made: Plan, folder: Path, step: Callable[[RemoteFile], None]) -> None:
    """Fetch what is missing, one file after the other; what is there already stays.

    Args:
        step: Called after every file.

    Raises:
        BadInput: There is no room, or a file is of another size than was said.
        Temporary: The source cannot be reached now; asked again it goes on with the file that broke off.
    """
    made.require_room(folder)
    for file in made.missing:
        source.fetch(file, folder)
        if not _is_there(folder / file.name, file.size):
            raise BadInput(
                f"{file.size} bytes were announced, others came",
                where=str(folder / file.name),
                remedy="fetch again: the data changed meanwhile",
            )
        step(file)


def _is_there(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size
