"""Which of the processes of a `torchrun` launch this one is: read from its environment, without torch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from components.core.errors import BadInput

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""Variables that torchrun sets for each process it starts."""


@dataclass(frozen=True)
class Place:
    """One process among those that work on a stage together.

    Attributes:
        rank: Its number, from 0.
        size: How many there are, on all machines.
        local_rank: Its number on this machine.
        local_size: How many there are on this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0


def place() -> Place:
    """This process's place; the only one of its launch where torchrun did not start it.

    Raises:
        BadInput: The variables are no numbers, or contradict each other.
    """
    given = [os.environ.get(name) for name in NAMES]
    if None in given:
        return Place()
    try:
        found = Place(*(int(str(value)) for value in given))
    except ValueError:
        found = Place(-1)
    if 0 <= found.rank < found.size and 0 <= found.local_rank < found.local_size <= found.size:
        return found
    raise BadInput(
        "this is no place among the processes of a launch",
        where=", ".join(f"{name}={value}" for name, value in zip(NAMES, given, strict=True)),
        remedy="start with torchrun, or unset these variables",
    )


@contextmanager
def alone() -> Iterator[None]:
    """Inside the block this process is the only one: for work that the others wait for."""
    kept = {name: os.environ.pop(name) for name in NAMES if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)
