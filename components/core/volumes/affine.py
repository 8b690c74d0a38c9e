"""From voxel indices to the patient: LPS millimetres (x to the left, y to the back, z to the head), as DICOM has it."""

from itertools import permutations
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from components.core.data.quarantine import Unreadable

Affine = Float[np.ndarray, "4 4"]
"""Indices (i, j, k) of the stored array, in homogeneous coordinates, to LPS millimetres."""

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def spacing(affine: Affine) -> tuple[float, float, float]:
    """Millimetres between neighbours along each stored axis."""
    sides = np.linalg.norm(affine[:3, :3], axis=0)
    return float(sides[0]), float(sides[1]), float(sides[2])


def check(affine: Affine, path: Path) -> None:
    """Refuse an affine that gives no volume. Raises Unreadable."""
    if not np.isfinite(affine).all() or min(spacing(affine)) <= 0 or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise Unreadable("has no valid orientation and spacing in its header", where=path)


def axes(affine: Affine) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    """The stored axis that runs closest along head, back and left, and whether it runs the other way.

    Returns:
        For the canonical axes (z to the head, y to the back, x to the left): stored axis, and whether to flip it.
        An oblique volume is taken along its nearest axes, not resampled.
    """
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # The assignment of stored axes to x, y, z whose directions agree best; greedy choices can clash at 45 degrees.
    best = max(permutations(range(3)), key=lambda order: sum(abs(directions[w, s]) for w, s in enumerate(order)))
    flips = [bool(directions[world, stored] < 0) for world, stored in enumerate(best)]
    return (best[2], best[1], best[0]), (flips[2], flips[1], flips[0])


def canonical(voxels: NDArray[np.generic], affine: Affine) -> NDArray[np.generic]:
    """A view [z, y, x] of stored voxels [i, j, k]: z from feet to head, y from front to back, x from right to left.

    That is an axial picture as radiologists see it, the spine below and the patient's right on the left.
    """
    order, flips = axes(affine)
    view = voxels.transpose(order)
    return view[tuple(slice(None, None, -1) if flip else slice(None) for flip in flips)]


def canonical_spacing(affine: Affine) -> tuple[float, float, float]:
    """Millimetres along z, y, x of the canonical view."""
    order, _ = axes(affine)
    stored = spacing(affine)
    return stored[order[0]], stored[order[1]], stored[order[2]]
