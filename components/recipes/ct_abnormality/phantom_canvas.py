"""An empty scan in millimetres, and soft-edged shapes to fill it with."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

AIR = -1000.0
EXTENT = (300.0, 360.0, 360.0)
"""Millimetres that a scan shows along z (feet to head), y (front to back) and x (the patient's right to left)."""

Number: TypeAlias = float | int

Point: TypeAlias = tuple[Number, Number, Number]
"""z, y, x in millimetres from the middle of the scan."""

Field: TypeAlias = Float32[np.ndarray, "d h w"]
Box: TypeAlias = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Stamp:
    """How much of each voxel of a box a shape covers, 0 to 1."""

    box: Box
    cover: Field


class Canvas:
    """Hounsfield units [d, h, w], air at first.

    Args:
        shape: Slices, rows, columns.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.spacing = tuple(extent / count for extent, count in zip(EXTENT, shape, strict=True))
        middles = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, self.spacing, strict=True)]
        z, y, x = (middle.astype(np.float32) for middle in middles)
        self.z, self.y, self.x = z[:, None, None], y[None, :, None], x[None, None, :]
        self.units: Field = np.full(shape, AIR, np.float32)

    @property
    def pixel(self) -> float:
        """Over this many millimetres an edge passes from 0 to 1."""
        return self.spacing[2]

    def soft(self, signed: NDArray[np.float32]) -> NDArray[np.float32]:
        """0 outside, 1 inside, of a distance to the edge in millimetres that is positive inside."""
        return np.asarray(np.clip(signed * np.float32(1 / self.pixel) + np.float32(0.5), 0, 1), np.float32)

    def ellipsoid(self, centre: Point, radii: Point) -> Stamp:
        """A filled ellipsoid along the axes."""
        box = self._box(centre, centre, radii)
        offsets = self._offsets(box, centre)
        rho = np.sqrt(sum((o / np.float32(r)) ** 2 for o, r in zip(offsets, radii, strict=True)))
        return Stamp(box, self.soft((1 - rho) * np.float32(min(radii))))

    def tube(self, start: Point, end: Point, radius: Number) -> Stamp:
        """A straight tube with round ends."""
        box = self._box(start, end, (radius, radius, radius))
        offsets = self._offsets(box, start)
        axis = np.subtract(end, start).astype(np.float32)
        length = float(axis @ axis) or 1.0
        along = np.clip(sum(o * a for o, a in zip(offsets, axis, strict=True)) / np.float32(length), 0, 1)
        away = sum((o - along * a) ** 2 for o, a in zip(offsets, axis, strict=True))
        return Stamp(box, self.soft(np.float32(radius) - np.sqrt(away)))

    def plate(self, centre: Point, normal: Point, radius: Number, thickness: Number) -> Stamp:
        """A flat round plate; `normal` need not be of unit length."""
        box = self._box(centre, centre, (radius, radius, radius))
        offsets = self._offsets(box, centre)
        across = sum(o * np.float32(n / np.linalg.norm(normal)) for o, n in zip(offsets, normal, strict=True))
        rim = np.sqrt(np.maximum(sum(o * o for o in offsets) - across * across, 0))
        return Stamp(box, self.soft(np.minimum(thickness / 2 - np.abs(across), radius - rim)))

    def paint(self, stamp: Stamp, level: Number, within: Field | None = None) -> None:
        """Blend to a level, where told only within what another cover leaves."""
        cover = stamp.cover if within is None else stamp.cover * within[stamp.box]
        view = self.units[stamp.box]
        view += cover * (np.float32(level) - view)

    def fill(self, cover: Field, level: Number | Field) -> None:
        """Blend all of the scan to a level."""
        self.units += cover * (np.asarray(level, np.float32) - self.units)

    def noise(self, random: np.random.Generator, scale: Number) -> Field:
        """Smooth noise of mean 0 and variance 1, its blobs about `scale` millimetres large (cubic B-splines)."""
        bases = [_splines(axis.ravel(), scale) for axis in (self.z, self.y, self.x)]
        grid = random.standard_normal([base.shape[1] for base in bases], dtype=np.float32)
        rows = np.einsum("abc,xc->abx", grid, bases[2])
        planes = np.matmul(bases[1], rows)
        depth = bases[0] @ planes.reshape(len(planes), -1)
        return np.asarray(depth.reshape(self.units.shape), np.float32)

    def _box(self, start: Point, end: Point, reach: Point) -> Box:
        slices = []
        for axis, (one, other, r) in enumerate(zip(start, end, reach, strict=True)):
            step, count = self.spacing[axis], self.units.shape[axis]
            places = (np.array([min(one, other) - r, max(one, other) + r]) / step) + (count - 1) / 2
            low, high = int(np.floor(places[0])) - 1, int(np.ceil(places[1])) + 2
            slices.append(slice(min(max(low, 0), count - 1), min(max(high, 1), count)))
        return slices[0], slices[1], slices[2]

    def _offsets(self, box: Box, origin: Point) -> list[NDArray[np.float32]]:
        axes = (self.z[box[0]], self.y[:, box[1]], self.x[:, :, box[2]])
        return [axis - np.float32(place) for axis, place in zip(axes, origin, strict=True)]


def _splines(places: NDArray[np.float32], scale: Number) -> Float32[np.ndarray, "n k"]:
    """Weights of cubic B-splines `scale` apart, scaled so that unit noise keeps its variance."""
    steps = (places - places[0]) / scale
    count = int(np.ceil(steps[-1])) + 4
    distance = np.abs(steps[:, None] - (np.arange(count) - 1)[None])
    inner = 2 / 3 - distance**2 + distance**3 / 2
    outer = np.maximum(2 - distance, 0) ** 3 / 6
    weights = np.where(distance < 1, inner, outer)
    return np.asarray(weights / np.sqrt((weights**2).sum(1, keepdims=True)), np.float32)
