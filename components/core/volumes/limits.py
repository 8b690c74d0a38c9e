"""How large a volume may say it is before anything is decoded."""

from collections.abc import Sequence
from math import prod
from pathlib import Path

import numpy as np
from pydantic import Field

from components.core.config import Values
from components.core.data.quarantine import Unreadable

DIMENSIONS = 3


class VolumeLimits(Values):
    """Bounds on one volume.

    Attributes:
        max_voxels: Voxels that a header may declare; the declared size in turn bounds what is decompressed.
        max_file_bytes: Size of a file on the disk.
    """

    max_voxels: int = Field(default=1 << 29, ge=1)
    max_file_bytes: int = Field(default=1 << 32, ge=1)

    def check_file(self, path: Path) -> None:
        """Refuse a file that is missing or too large. Raises Unreadable."""
        if not path.is_file():
            raise Unreadable("does not exist", where=path)
        if path.stat().st_size > self.max_file_bytes:
            raise Unreadable(f"is larger than {self.max_file_bytes} bytes", where=path)

    def check_shape(self, shape: Sequence[int], path: Path) -> tuple[int, int, int]:
        """The three dimensions of a volume; further ones of length 1 are dropped.

        Raises:
            Unreadable: There are more or fewer, one is not positive, or there are too many voxels.
        """
        dims = [int(side) for side in shape]
        while len(dims) > DIMENSIONS and dims[-1] == 1:
            dims.pop()
        if len(dims) != DIMENSIONS:
            raise Unreadable(f"has {len(dims)} dimensions {dims}; {DIMENSIONS} are read", where=path)
        if min(dims) < 1 or prod(dims) > self.max_voxels:
            raise Unreadable(f"declares {dims} voxels; at most {self.max_voxels} are read", where=path)
        return dims[0], dims[1], dims[2]


def declared_bytes(shape: Sequence[int], dtype: np.dtype[np.generic]) -> int:
    """Bytes of the voxels that a header declares."""
    return prod(shape) * dtype.itemsize
