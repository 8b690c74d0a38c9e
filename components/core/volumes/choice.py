"""Which slices of a volume are taken."""

from typing import Literal

import numpy as np
from pydantic import Field

from components.core.config import Values


class Choice(Values):
    """Which slices, and how many.

    Attributes:
        how: `uniform` spreads them evenly over the range; `centre` more densely about its middle; `every` takes each
            n-th of the range; `all` takes the range whole.
        count: Slices per volume, for uniform and centre. A range of fewer slices gives some of them twice.
        every: n, for every.
        span: `lungs` is the z-range of the lungs, the whole volume where none is seen; `volume` always all of it.
    """

    how: Literal["uniform", "centre", "every", "all"] = "uniform"
    count: int = Field(default=32, ge=1)
    every: int = Field(default=4, ge=1)
    span: Literal["lungs", "volume"] = "lungs"

    def indices(self, first: int, last: int) -> list[int]:
        """Slices of the range from `first` to `last` (inclusive), ascending."""
        if self.how == "all":
            return list(range(first, last + 1))
        if self.how == "every":
            return list(range(first, last + 1, self.every))
        # The middles of `count` equal parts: neither end, which hardly shows any lung, is favoured.
        parts = (np.arange(self.count) + 0.5) / self.count
        if self.how == "centre":
            parts = 0.5 + 0.5 * np.sign(parts - 0.5) * np.abs(2 * parts - 1) ** 2
        places = first - 0.5 + parts * (last - first + 1)
        return [int(place) for place in np.clip(np.rint(places), first, last)]
