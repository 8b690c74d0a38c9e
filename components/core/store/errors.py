"""What a store can answer besides the data."""

from typing import ClassVar

from components.core.errors import BadInput, ThawError


class NotFound(ThawError):
    """No object of this key."""

    exit_code: ClassVar[int] = 2


class Conflict(ThawError):
    """Another writer was faster: a conditional write did not apply.

    Not a `BadInput`: the input is fine, and a run that stops because another one holds its place must not be
    recorded as failed for good. Its exit code says only that starting it again at once would not help.
    """

    exit_code: ClassVar[int] = 2


class TooLarge(BadInput):
    """An object is larger than its reader expects: not what Thaw wrote there."""

    def __init__(self, size: int, limit: int, where: str) -> None:
        super().__init__(
            f"{size} bytes where at most {limit} were expected",
            where=where,
            remedy="this is not what Thaw wrote there, or it was damaged",
        )
