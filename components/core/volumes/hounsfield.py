"""Hounsfield units: from the header, from CT-RATE's metadata table, or already there; never applied twice.

CT-RATE's first release stores values that need the slope and intercept of its metadata CSV; its second ("fixed")
release stores Hounsfield units. The files look alike, so what is in doubt is refused with the numbers in doubt.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.data.quarantine import Unreadable

Policy: TypeAlias = Literal["auto", "header", "metadata"]
"""auto decides by the values and refuses what is in doubt; header: the file's own slope and intercept, nothing else;
metadata: those of the table."""

AIR = (-1200.0, -800.0)
"""Hounsfield units of air, with what filters and noise do to them."""

SOFT = (-200.0, 200.0)
"""Of fat, water, muscle and blood."""

BODY = 0.05
"""Fraction of voxels that must be soft tissue."""

EMPTY = -1500.0
"""Below lies no tissue but padding outside of the scanner's field of view (-2000, -3024, -8192)."""

SAMPLE = 50_000
"""Voxels looked at."""

ENOUGH = 0.005
"""Fraction of voxels that must be air: every CT of a chest has some in the lungs."""


@dataclass(frozen=True)
class Rescaling:
    """Hounsfield units = slope * stored + intercept."""

    slope: float = 1.0
    intercept: float = 0.0

    def apply(self, stored: NDArray[np.generic]) -> NDArray[np.generic]:
        """Rescale; integers stay integers where they can."""
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored
        if np.issubdtype(stored.dtype, np.integer) and self.slope.is_integer() and self.intercept.is_integer():
            return stored.astype(np.int32) * int(self.slope) + int(self.intercept)
        return stored.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept)

    def __str__(self) -> str:
        return f"slope {self.slope:g}, intercept {self.intercept:g}"


def choose(
    stored: NDArray[np.generic], header: Rescaling, metadata: Rescaling | None, policy: Policy, path: Path
) -> Rescaling:
    """Decide how stored values become Hounsfield units.

    Args:
        stored: All voxels as stored.
        header: The file's own rescaling.
        metadata: The table's, where it names the volume.

    Raises:
        Unreadable: The policy asks for a table that does not name the volume, or `auto` cannot tell.
    """
    for name, rescaling in (("header", header), ("metadata table", metadata)):
        if rescaling and not (np.isfinite([rescaling.slope, rescaling.intercept]).all() and rescaling.slope > 0):
            raise Unreadable(f"its {name} gives {rescaling}", where=path)
    if policy == "header":
        return header
    if policy == "metadata":
        if metadata is None:
            raise Unreadable("the metadata table does not name it, and hu: metadata asks for it", where=path)
        return metadata
    candidates = list(dict.fromkeys([header, *([metadata] if metadata else [])]))
    if len(candidates) == 1:
        return candidates[0]
    fitting = [one for one in candidates if looks_like_ct(stored, one)]
    if len(fitting) == 1:
        return fitting[0]
    lowest, highest = int(stored.min()), int(stored.max())
    raise Unreadable(
        f"stores {lowest} to {highest}; its header says {header}, the metadata table {metadata}, and"
        f" {'both' if fitting else 'neither'} would put air and soft tissue where they are: say hu: header for volumes"
        " that hold Hounsfield units (CT-RATE's second release), hu: metadata for stored values (the first)",
        where=path,
    )


def looks_like_ct(stored: NDArray[np.generic], rescaling: Rescaling) -> bool:
    """Would this rescaling put air and soft tissue where they are? Padding outside of the field of view is left out."""
    flat = stored.reshape(-1, order="A")
    units = rescaling.apply(flat[:: max(1, flat.size // SAMPLE)]).astype(np.float32)
    inside = units[units > EMPTY]
    if len(inside) < ENOUGH * len(units):
        return False
    air = AIR[0] <= float(np.quantile(inside, ENOUGH)) <= AIR[1]
    soft = float(((units > SOFT[0]) & (units < SOFT[1])).mean())
    return air and soft >= BODY
