"""From a volume's file to the slices a model is trained on: decoded once, windowed, of one size."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Num, UInt8
from numpy.typing import NDArray
from pydantic import Field, model_validator

from components.core.config import Values
from components.core.data.quarantine import Unreadable
from components.core.volumes.affine import canonical
from components.core.volumes.choice import Choice
from components.core.volumes.hounsfield import Policy, Rescaling, choose
from components.core.volumes.lungs import SIDE, lung_range
from components.core.volumes.source import VolumeFile
from components.core.volumes.windows import BONE, LUNG, MEDIASTINUM, Window, apply_windows

AIR = -1000.0
"""Hounsfield units of what lies outside of the picture."""

BOUNDS = (-1024.0, 3071.0)
"""What a scanner of 12 bits can tell: padding below and metal above are cut to it."""


class Extraction(Values):
    """How slices are cut.

    Attributes:
        choice: Which slices.
        size: Side of a slice, pixels: the longer side in millimetres fills it, air pads the shorter one.
        windows: One per channel.
        neighbours: 2.5-D: the channels are the slice and its neighbours, `neighbours` on each side, all through the
            first window. 0: the channels are the windows.
        spacing_mm: Resample to these distances between slices, rows and columns first (CT-CLIP: 1.5, 0.75, 0.75), so
            that `size` pixels show the same extent in every volume. None keeps the volume's own.
        hu: How stored values become Hounsfield units.
    """

    choice: Choice = Choice()
    size: int = Field(default=224, ge=8)
    windows: tuple[Window, ...] = Field(default=(LUNG, MEDIASTINUM, BONE), min_length=1)
    neighbours: int = Field(default=0, ge=0, le=8)
    spacing_mm: tuple[float, float, float] | None = None
    hu: Policy = "auto"

    @model_validator(mode="after")
    def _one_meaning_of_channels(self) -> "Extraction":
        if self.neighbours and len(self.windows) > 1:
            raise ValueError("neighbours makes the channels neighbouring slices: name one window")
        if self.spacing_mm is not None and min(self.spacing_mm) <= 0:
            raise ValueError("spacing_mm must be above 0")
        return self

    @property
    def channels(self) -> int:
        """Channels of a slice."""
        return 2 * self.neighbours + 1 if self.neighbours else len(self.windows)


@dataclass(frozen=True)
class Extracted:
    """Slices of one volume.

    Attributes:
        slices: [n, size, size, channels].
        places: Place of each slice along z, in slices of the volume from the feet (fractions where resampled).
        shape: Slices, rows, columns of the volume.
        spacing_mm: Between them.
        hu_min: Lowest value of the whole volume.
        hu_max: Highest.
        rescaling: What was applied to the stored values.
        lungs: Whether the lungs were found, where they were looked for.
    """

    slices: UInt8[np.ndarray, "n s s c"]
    places: list[float]
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    hu_min: float
    hu_max: float
    rescaling: Rescaling
    lungs: bool


def extract(volume: VolumeFile, extraction: Extraction, metadata: Rescaling | None = None) -> Extracted:
    """Decode a volume once and cut its slices.

    Args:
        metadata: Slope and intercept that a table gives for it.

    Raises:
        Unreadable: It is damaged, or its Hounsfield units are in doubt.
    """
    header = volume.header
    stored = volume.voxels()
    if np.issubdtype(stored.dtype, np.floating) and not np.isfinite(stored).all():
        raise Unreadable("holds NaN or infinite voxels", where=header.path)
    rescaling = choose(stored, Rescaling(header.slope, header.intercept), metadata, extraction.hu, header.path)
    ends = rescaling.apply(np.array([stored.min(), stored.max()])).astype(np.float64)
    cut = _Cut(canonical(stored, header.affine), header.spacing_zyx, rescaling, extraction)
    places, found = cut.places()
    return Extracted(
        slices=np.stack([cut.slice(place) for place in places]),
        places=places,
        shape=header.shape_zyx,
        spacing_mm=header.spacing_zyx,
        hu_min=float(ends[0]),
        hu_max=float(ends[1]),
        rescaling=rescaling,
        lungs=found,
    )


@dataclass(frozen=True)
class _Cut:
    """A decoded volume under the knife; only what is taken is rescaled."""

    stored: Num[np.ndarray, "d h w"]
    spacing: tuple[float, float, float]
    rescaling: Rescaling
    extraction: Extraction

    @property
    def _step(self) -> float:
        """Slices of the volume from one resampled slice to the next."""
        wanted = self.extraction.spacing_mm
        return wanted[0] / self.spacing[0] if wanted else 1.0

    def places(self) -> tuple[list[float], bool]:
        """Where to cut, in slices of the volume, and whether the lungs were found."""
        depth = len(self.stored)
        choice = self.extraction.choice
        first, last, found = 0, depth - 1, False
        if choice.span == "lungs":
            rows, columns = (max(1, side // SIDE) for side in self.stored.shape[1:])
            lungs = lung_range(self.rescaling.apply(self.stored[:, ::rows, ::columns]))
            found = lungs is not None
            first, last = lungs or (first, last)
        steps = int((last - first) / self._step + 1e-6)
        return [min(first + index * self._step, depth - 1.0) for index in choice.indices(0, steps)], found

    def slice(self, place: float) -> UInt8[np.ndarray, "s s c"]:
        """One slice of the size and channels that are wanted."""
        reach = self.extraction.neighbours
        offsets = range(-reach, reach + 1)
        planes = [self._fit(self._plane(place + offset * self._step)) for offset in offsets]
        if reach:
            return np.concatenate([apply_windows(plane, self.extraction.windows) for plane in planes], axis=-1)
        return apply_windows(planes[0], self.extraction.windows)

    def _plane(self, place: float) -> Float32[np.ndarray, "h w"]:
        """Hounsfield units at a place along z, linear between two slices; the ends repeat."""
        place = min(max(place, 0.0), len(self.stored) - 1.0)
        lower = int(place)
        part = np.float32(place - lower)
        plane = self._units(lower)
        return plane if part == 0 else plane * (1 - part) + self._units(lower + 1) * part

    def _units(self, index: int) -> Float32[np.ndarray, "h w"]:
        units = self.rescaling.apply(self.stored[index]).astype(np.float32)
        return np.clip(np.ascontiguousarray(units), np.float32(BOUNDS[0]), np.float32(BOUNDS[1]))

    def _fit(self, plane: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "s s"]:
        """Scaled to the square with its proportions in millimetres; areas are averaged where it shrinks."""
        size, wanted = self.extraction.size, self.extraction.spacing_mm
        extent = np.array(plane.shape) * self.spacing[1:]
        # With a spacing of its own a pixel is that large; else the longer side fills the square.
        sides = extent / wanted[1:] if wanted else extent * (size / extent.max())
        height, width = (max(1, round(float(side))) for side in sides)
        how = cv2.INTER_AREA if height <= plane.shape[0] and width <= plane.shape[1] else cv2.INTER_LINEAR
        scaled = cv2.resize(plane, (width, height), interpolation=how).astype(np.float32, copy=False)
        return _centred(scaled, size)


def _centred(plane: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Padded with air or cropped about the middle to a square."""
    square = np.full((size, size), np.float32(AIR), np.float32)
    (from_y, to_y, rows), (from_x, to_x, columns) = (_overlap(side, size) for side in plane.shape)
    square[to_y : to_y + rows, to_x : to_x + columns] = plane[from_y : from_y + rows, from_x : from_x + columns]
    return square


def _overlap(side: int, size: int) -> tuple[int, int, int]:
    """Where to read, where to write, how many, so that the middles meet."""
    return max(0, (side - size) // 2), max(0, (size - side) // 2), min(side, size)
