"""The windows (effective batches) of an epoch as this process trains on them: its share of each, loaded and mixed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from components.core.engine.loader import Draw, load_ahead
from components.core.engine.mixing import Mixing
from components.core.engine.order import Curriculum
from components.core.engine.shares import Shares
from components.core.engine.task import Batch, Examples


@dataclass(frozen=True)
class Windows:
    """The windows of a phase.

    Attributes:
        curriculum: Which samples, in which order, seen how.
        shares: Which of them are this process's own.
        mixing: Mixes them; None where the phase mixes nothing.
    """

    curriculum: Curriculum
    shares: Shares
    mixing: Mixing | None

    def load(
        self, examples: Examples, epoch: int, skip: int, fields: frozenset[str], workers: int
    ) -> Iterator[tuple[Draw, Batch, Sequence[int]]]:
        """Yield (draw, batch, number of each sample's view) of an epoch's windows after the first `skip`.

        The batch holds this process's own samples, which may be none; `draw.size` counts those of the whole window.
        """

        def mix(draw: Draw, batch: Batch) -> Batch:
            if self.mixing is None:
                return batch
            views = self.curriculum.numbers(draw.rows, epoch)
            return self.mixing.window(batch, views, epoch, draw.window, draw.size, draw.positions, draw.own)

        draws = map(self._share, self.curriculum.draws(epoch, skip))
        for draw, batch in load_ahead(examples, draws, fields, workers, mix):
            yield draw, batch, self.curriculum.numbers(draw.rows[: draw.own], epoch)

    def _share(self, draw: Draw) -> Draw:
        """What this process loads of a window: its own samples, then the partners that it mixes them with."""
        own = self.shares.positions(len(draw.rows))
        needed = own if self.mixing is None else self.mixing.needs(own, len(draw.rows))
        return draw.part(needed, len(own))
