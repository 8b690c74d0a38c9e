"""Errors a person can act on: what happened, where, and what to do about it."""

from typing import ClassVar


class ThawError(Exception):
    """Base of every error Thaw raises on purpose.

    Args:
        what: What is wrong, in one sentence.
        where: The file, key or value it was found at.
        remedy: What the reader can do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  at: {self.where}")
        if self.remedy:
            lines.append(f"  remedy: {self.remedy}")
        return "\n".join(lines)


class BadInput(ThawError):
    """Input or configuration that no retry can mend (exit code 2)."""

    exit_code = 2


class Temporary(ThawError):
    """A condition that may pass by itself: the orchestrator should retry (exit code 75)."""

    exit_code = 75
