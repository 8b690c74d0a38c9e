"""Batches loaded ahead of the step, in order, by threads; how many threads changes no bit."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from components.core.engine.task import Batch, Examples, ViewKey

AHEAD = 2
"""Batches under way per worker."""


@dataclass(frozen=True)
class Draw:
    """The samples of one batch: rows of the split and the augmentation key of each.

    Attributes:
        window: Number of the optimiser step in its epoch, from 0.
    """

    rows: Sequence[int]
    keys: Sequence[ViewKey]
    window: int = 0


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
        workers: Threads; 0 loads each batch when it is asked for.
        finish: What is still to be done with a loaded batch, in its thread.
    """

    def load(draw: Draw) -> Batch:
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
