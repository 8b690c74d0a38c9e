"""Training on a part of the labels: which groups of the train split keep theirs."""

import hashlib
from collections.abc import Sequence

from pydantic import Field

from components.core.config import Values
from components.core.data.dataset import Row


class Labels(Values):
    """How many of the train split's labels fine-tuning may see. Validation and test stay whole.

    Attributes:
        fraction: Share of the groups (patients, sources) of every class, at least one of each. Smaller shares are
            parts of larger ones under the same seed.
        seed: Of the choice, apart from the training seed.
    """

    fraction: float = Field(default=1.0, gt=0, le=1)
    seed: int = Field(default=0, ge=0)

    def choose(self, rows: Sequence[Row]) -> list[Row]:
        """The rows whose labels may be seen, in their order.

        Whole groups are chosen class by class, so that every class keeps its share; a group of several classes is
        drawn for each of them.
        """
        if self.fraction == 1.0:
            return list(rows)
        kept: set[str] = set()
        for stratum in {row.stratum for row in rows}:
            groups = {row.group for row in rows if row.stratum == stratum}
            lots = sorted(groups, key=self._lot)
            kept.update(lots[: max(1, int(self.fraction * len(lots) + 0.5))])
        return [row for row in rows if row.group in kept]

    def _lot(self, group: str) -> bytes:
        """A group's lot depends on no other group: a larger share adds groups and takes none away."""
        return hashlib.sha256(f"labels/{self.seed}/{group}".encode()).digest()
