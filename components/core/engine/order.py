"""Which samples, in which order, seen how: pure functions of (seed, epoch, row)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.core.engine.features import Views
from components.core.engine.loader import Draw
from components.core.engine.task import ViewKey


@dataclass(frozen=True)
class Curriculum:
    """The order of a phase's samples and their views.

    Attributes:
        seed: Training seed.
        sources: Source of each row of the train split; rows of one source share its views.
        window: Samples per optimiser step (the effective batch).
        views: Deterministic views per sample; 0 draws fresh ones every epoch.
    """

    seed: int
    sources: Sequence[int]
    window: int
    views: int

    @property
    def count(self) -> int:
        """Rows of the train split."""
        return len(self.sources)

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps per epoch; the last may have fewer samples."""
        return -(-self.count // self.window)

    def kept(self) -> Views | None:
        """Every (source, view) of the phase, so that frozen features can be kept; None with fresh views."""
        if self.views == 0:
            return None
        numbers = range(len(set(self.sources)))
        keys = [view_key(self.seed, source, view) for source in numbers for view in range(self.views)]
        return Views(self.sources, keys, self.views)

    def draws(self, epoch: int, skip: int) -> Iterator[Draw]:
        """The windows of an epoch, after the first `skip`."""
        order = epoch_order(self.seed, epoch, self.count)
        for number, rows in list(enumerate(windows(order, self.window)))[skip:]:
            if self.views == 0:
                yield Draw(rows, [fresh_key(self.seed, self.sources[row], epoch) for row in rows], number)
            else:
                numbers = self.numbers(rows, epoch)
                keys = [view_key(self.seed, self.sources[row], v) for row, v in zip(rows, numbers, strict=True)]
                yield Draw(rows, keys, number)

    def numbers(self, rows: Sequence[int], epoch: int) -> list[int]:
        """The number of the view that each row shows in an epoch; 0 with fresh views."""
        return [view_of(row, epoch, self.views) if self.views else 0 for row in rows]


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


def view_key(seed: int, source: int, view: int) -> ViewKey:
    """Augmentation key of a numbered view; view 0 is the source as it is."""
    return () if view == 0 else (seed, source, view)


FRESH = 0xF4E5
"""Ends the keys of views that are drawn for one epoch alone."""


def fresh_key(seed: int, source: int, epoch: int) -> ViewKey:
    """Augmentation key of a view drawn for one epoch alone."""
    return (seed, source, epoch, FRESH)


def epoch_of(key: ViewKey) -> int | None:
    """The epoch of its phase that a fresh view was drawn for; None for views that are kept and for the identity."""
    return key[2] if len(key) == 4 and key[3] == FRESH else None


def step_seed(seed: int, step: int, part: int, rank: int = 0) -> int:
    """Seed of torch's generators (dropout, drop-path) for micro-batch `part` of an optimiser step in one process."""
    entropy = [seed, step, part, 0x57E9, *([rank] if rank else [])]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> 1)
