"""Quarantine: unreadable files are set aside with reasons, and too many of them stop the run."""

from pathlib import Path

from pydantic import Field

from components.core.config import Values
from components.core.errors import BadInput


class Unreadable(BadInput):
    """A file that cannot be used: truncated, too large, of an unknown form or holding non-finite values."""

    def __init__(self, reason: str, *, where: Path | str) -> None:
        super().__init__(reason, where=str(where), remedy="replace or remove the file")


class Unwanted(Unreadable):
    """A file that is none of the cases, as its content tells (a mask beside its volume): left out and listed."""


class QuarantineLimits(Values):
    """How much may be set aside.

    Attributes:
        max_fraction: Greatest fraction of cases that may be unreadable; 0 accepts none.
    """

    max_fraction: float = Field(default=0.0, ge=0, lt=1)


class Quarantined(Values):
    """One case that was set aside.

    Attributes:
        id: Id of the case.
        file: The offending file, relative to the raw folder.
        reason: What is wrong with it.
    """

    id: str
    file: str
    reason: str


def name_of(path: Path, root: Path) -> str:
    """A file's name relative to the raw folder: no card names a folder of this machine."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


class Quarantine:
    """Collects unreadable cases, and judges them when all have been seen.

    Args:
        limits: How much may be set aside.
        root: Folder that the files' names are given relative to.
    """

    def __init__(self, limits: QuarantineLimits, root: Path) -> None:
        self._limits = limits
        self._root = root
        self.entries: list[Quarantined] = []

    def add(self, case: str, error: Unreadable) -> None:
        """Set one case aside."""
        self.entries.append(Quarantined(id=case, file=name_of(Path(error.where), self._root), reason=error.what))

    def check(self, total: int) -> None:
        """Judge the fraction of `total` cases that was set aside.

        Raises:
            BadInput: It is over the limit; every file is listed with its reason.
        """
        if len(self.entries) <= self._limits.max_fraction * total:
            return
        listing = "\n".join(f"    {entry.file}: {entry.reason}" for entry in self.entries)
        raise BadInput(
            f"{len(self.entries)} of {total} cases cannot be read, and quarantine.max_fraction ="
            f" {self._limits.max_fraction:g} allows {int(self._limits.max_fraction * total)}:\n{listing}",
            where=str(self._root),
            remedy="replace or remove these files, or raise quarantine.max_fraction to go on without them",
        )
