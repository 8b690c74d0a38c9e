"""A volume's file: its header at once, its voxels once."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from components.core.volumes.affine import Affine, axes, canonical_spacing


@dataclass(frozen=True)
class Header:
    """What a file says of its volume.

    Attributes:
        path: The file, or the folder of a DICOM series.
        shape: Stored axes (i, j, k).
        affine: Stored indices to LPS millimetres.
        dtype: Of the stored voxels.
        slope: Value = slope * stored + intercept.
        intercept: In the file's units (Hounsfield units in CT, unless told otherwise).
    """

    path: Path
    shape: tuple[int, int, int]
    affine: Affine
    dtype: np.dtype[np.generic]
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def shape_zyx(self) -> tuple[int, int, int]:
        """Slices, rows, columns of the canonical view."""
        order, _ = axes(self.affine)
        return self.shape[order[0]], self.shape[order[1]], self.shape[order[2]]

    @property
    def spacing_zyx(self) -> tuple[float, float, float]:
        """Millimetres between slices, rows, columns."""
        return canonical_spacing(self.affine)


class VolumeFile(Protocol):
    """An opened volume."""

    @property
    def header(self) -> Header:
        """Read without decoding voxels."""

    def voxels(self) -> NDArray[np.generic]:
        """Decode: stored values [i, j, k], not rescaled. Every call decodes again.

        Raises:
            Unreadable: The file is damaged, or not what its header says.
        """
