"""Which samples of an optimiser step each process of a launch works on."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from components.core.engine.ranks import Ranks


def share(count: int, rank: int, size: int) -> range:
    """The contiguous share of `count` things that one of `size` processes takes: the first ones take one more."""
    each, over = divmod(count, size)
    start = rank * each + min(rank, over)
    return range(start, start + each + (rank < over))


@dataclass(frozen=True)
class Shares:
    """How windows (effective batches) are cut.

    Attributes:
        rank: This process.
        size: How many there are.
        whole: Samples that stay one batch across the processes, where the batch is coupled; 0 where it is not.
    """

    rank: int = 0
    size: int = 1
    whole: int = 0

    @staticmethod
    def of(ranks: Ranks, batch_size: int, couples: str) -> "Shares":
        """How several processes cut windows. Coupled batches are cut one by one, so that each stays what it is.

        Args:
            couples: Why batches of `batch_size` must stay whole; empty where they may be cut.
        """
        return Shares(ranks.rank, ranks.size, batch_size if couples and ranks.size > 1 else 0)

    def pieces(self, window: int) -> list[range]:
        """Positions in a window of `window` samples that this process works on, one range for each coupled batch.

        A window without coupling is one piece. Pieces may be empty; only the last ones of a process are.
        """
        whole = self.whole or max(1, window)
        batches = [range(start, min(start + whole, window)) for start in range(0, window, whole)]
        return [batch[own.start : own.stop] for batch in batches for own in [share(len(batch), self.rank, self.size)]]

    def positions(self, window: int) -> list[int]:
        """All of them."""
        return [position for piece in self.pieces(window) for position in piece]

    def idle(self, window: int) -> bool:
        """Whether this process has no samples in some coupled batch, which the others gather."""
        return self.whole > 0 and not all(self.pieces(window))

    def some_idle(self, window: int) -> bool:
        """Whether some process has none."""
        return self.whole > 0 and 0 < min(self.whole, window - (window - 1) // self.whole * self.whole) < self.size

    def bounds(self, window: int, micro_batch: int) -> list[tuple[int, int]]:
        """Micro-batches as (start, stop) among this process's own samples of a window.

        Args:
            window: Samples of the whole window.
            micro_batch: Samples per forward pass, at most; coupled batches stay whole.
        """
        sizes = [len(piece) for piece in self.pieces(window) if len(piece)]
        if not self.whole:
            sizes = [min(micro_batch, sizes[0] - start) for start in range(0, sum(sizes), micro_batch)]
        return _ranges(sizes)


def _ranges(sizes: Sequence[int]) -> list[tuple[int, int]]:
    stops = list(accumulate(sizes))
    return [(stop - size, stop) for size, stop in zip(sizes, stops, strict=True)]
