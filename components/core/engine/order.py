"""Which samples, in which order, seen how: pure functions of (seed, epoch, row)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.engine.task import ViewKey


def epoch_order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    """Permutation of the rows of the train split for one epoch."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, epoch, 0x0DE4])))
    return generator.permutation(count).astype(np.int64)


def windows(order: Sequence[int] | NDArray[np.int64], size: int) -> Iterator[list[int]]:
    """Consecutive windows of `size` rows, one per optimiser step; the last one may be shorter."""
    for start in range(0, len(order), size):
        yield [int(row) for row in order[start : start + size]]


def view_of(row: int, epoch: int, views: int) -> int:
    """The view a sample shows in an epoch: every view in turn, samples out of phase with each other."""
    return (row + epoch) % views


def view_key(seed: int, row: int, view: int) -> ViewKey:
    """Augmentation key of a numbered view; view 0 is the sample as it is."""
    return () if view == 0 else (seed, row, view)


def fresh_key(seed: int, row: int, epoch: int) -> ViewKey:
    """Augmentation key of a view drawn for one epoch alone."""
    return (seed, row, epoch, 0xF4E5)


def step_seed(seed: int, step: int, part: int) -> int:
    """Seed of torch's generators (dropout, drop-path) for micro-batch `part` of an optimiser step."""
    return int(np.random.SeedSequence([seed, step, part, 0x57E9]).generate_state(1, np.uint64)[0] >> 1)
