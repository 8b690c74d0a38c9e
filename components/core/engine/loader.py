"""Batches loaded ahead of the step, in order, by threads; how many threads changes no bit."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from components.core.engine.task import Batch, Examples, ViewKey

AHEAD = 2
"""Batches under way per worker."""


@dataclass(frozen=True)
class Draw:
    """The samples of one batch: rows of the split and the augmentation key of each.

    Attributes:
        window: Number of the optimiser step in its epoch, from 0.
        size: Samples of the whole window; 0 where the draw belongs to none.
        positions: Place in the window of each sample.
        own: How many samples, the first ones, are to be trained on; the others are their partners in mixing.
    """

    rows: Sequence[int]
    keys: Sequence[ViewKey]
    window: int = 0
    size: int = 0
    positions: Sequence[int] = ()
    own: int = 0

    def part(self, positions: Sequence[int], own: int) -> "Draw":
        """Some samples of a whole window, by their places in it."""
        rows, keys = [self.rows[i] for i in positions], [self.keys[i] for i in positions]
        return Draw(rows, keys, self.window, len(self.rows), positions, own)


def as_loaded(_: Draw, batch: Batch) -> Batch:
    """Change nothing."""
    return batch


def load_ahead(
    examples: Examples,
    draws: Iterable[Draw],
    fields: frozenset[str],
    workers: int,
    finish: Callable[[Draw, Batch], Batch] = as_loaded,
) -> Iterator[tuple[Draw, Batch]]:
    """Yield (draw, batch) in the order of `draws`.

    Args:
        draws: One without rows gives a batch of `row` alone.
        workers: Threads; 0 loads each batch when it is asked for.
        finish: What is still to be done with a loaded batch, in its thread.
    """

    def load(draw: Draw) -> Batch:
        if not draw.rows:
            return {"row": torch.empty(0, dtype=torch.int64)}
        return finish(draw, examples.load(draw.rows, draw.keys, fields))

    if workers == 0:
        for draw in draws:
            yield draw, load(draw)
        return
    waiting: deque[tuple[Draw, Future[Batch]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="thaw-load") as pool:
        try:
            for draw in draws:
                waiting.append((draw, pool.submit(load, draw)))
                if len(waiting) > AHEAD * workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
