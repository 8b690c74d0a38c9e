"""A view of a part of a picture: crop, flips, rotation and distortion in one resampling."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from components.core.augment.geometry import Matrix, shift, stretch, turn
from components.core.augment.joint import Image

MARGIN = 2
"""Pixels around what a view shows that interpolation may read, at the view's scale."""


@dataclass(frozen=True)
class Crop:
    """A rectangle in shares of a picture's width and height.

    Attributes:
        x, y: Its middle.
        width, height: Its sides.
    """

    x: float
    y: float
    width: float
    height: float

    @staticmethod
    def draw(random: np.random.Generator, smallest: float, proportions: float) -> "Crop":
        """A random rectangle within the picture.

        Area and place are uniform; the ratio of the shares is uniform in its logarithm among those that fit, so that
        the area is always the one that was drawn. Ratios are taken in shares, because the picture as it is (ratio 1)
        is squashed to a square too.

        Args:
            smallest: Share of the picture's area; the greatest is 1.
            proportions: Greatest ratio, and 1 by the least.
        """
        area, ratio, x, y = random.random(4)
        area = smallest + area * (1 - smallest)
        limit = min(np.log(proportions), -np.log(area))
        stretched = np.exp((2 * ratio - 1) * limit)
        width, height = float(np.sqrt(area * stretched)), float(np.sqrt(area / stretched))
        return Crop(width / 2 + float(x) * (1 - width), height / 2 + float(y) * (1 - height), width, height)


@dataclass(frozen=True)
class View:
    """How a square shows a picture.

    Attributes:
        crop: Its part.
        mirrored: Left-right, upside-down.
        degrees: Rotation about the middle of the crop.
        shifts: Of the inner corners of a grid over the view, (across, down) as shares of a cell; None distorts nothing.
        black: What lies outside is black; else the picture's mirror image.
    """

    crop: Crop
    mirrored: tuple[bool, bool]
    degrees: float
    shifts: Float32[np.ndarray, "n n 2"] | None
    black: bool

    def apply(self, image: Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
        """Look at a picture. Bilinear; what is shown smaller than it is is first shrunk by area, so nothing aliases."""
        small, edges = _cut(image, self._edges(image, size), size)
        border = cv2.BORDER_CONSTANT if self.black else cv2.BORDER_REFLECT_101
        centres = shift(-0.5, -0.5) @ edges @ shift(0.5, 0.5)  # OpenCV's coordinates are those of pixel centres
        if self.shifts is None:
            view = cv2.warpAffine(small, centres[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
        else:
            x, y = _sources(np.linalg.inv(centres), self.shifts, size)
            view = cv2.remap(small, x, y, cv2.INTER_LINEAR, borderMode=border)
        return np.asarray(view, dtype=np.uint8)

    def _edges(self, image: Image, size: int) -> Matrix:
        """The affine map of the picture onto the square, in edge coordinates."""
        height, width = image.shape[:2]
        x, y = (-1 if flipped else 1 for flipped in self.mirrored)
        onto = stretch(x * size / (self.crop.width * width), y * size / (self.crop.height * height))
        away = shift(-self.crop.x * width, -self.crop.y * height)
        edges: Matrix = shift(size / 2, size / 2) @ onto @ turn(self.degrees) @ away
        return edges


def _cut(image: Image, edges: Matrix, size: int) -> tuple[Image, Matrix]:
    """The part of a picture that a view shows, its sides shrunk by area to the view's scale, and the map from there.

    A grid distortion moves nothing into view: its rim stays where it is.
    """
    height, width = image.shape[:2]
    corners = np.linalg.inv(edges) @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]], dtype=np.float64)
    scale = np.minimum(np.linalg.norm(edges[:2, :2], axis=0), 1)  # of the picture's sides
    margin = np.ceil(MARGIN / scale)
    low = np.clip(np.floor(corners[:2].min(axis=1) - margin), 0, (width - 1, height - 1)).astype(int)
    high = np.clip(np.ceil(corners[:2].max(axis=1) + margin), low + 1, (width, height)).astype(int)
    part = image[low[1] : high[1], low[0] : high[0]]
    wanted = np.maximum(np.rint((high - low) * scale), 1).astype(int)
    if not (wanted == high - low).all():
        part = np.asarray(cv2.resize(part, wanted.tolist(), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    back = stretch(*((high - low) / wanted).tolist())
    return np.ascontiguousarray(part), edges @ shift(*low.tolist()) @ back


def _sources(
    centres: Matrix, shifts: Float32[np.ndarray, "n n 2"], size: int
) -> tuple[Float32[np.ndarray, "s s"], Float32[np.ndarray, "s s"]]:
    """Where each pixel of a distorted view comes from: the grid's corners move, what is between them follows.

    Args:
        centres: From the view's pixel centres to the picture's.
    """
    cell = size / (len(shifts) + 1)
    corners = np.pad(shifts * np.float32(cell), ((1, 1), (1, 1), (0, 0)))
    across = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(cell)
    grid_x, grid_y = np.meshgrid(across, across)
    moved = cv2.remap(corners, grid_x, grid_y, cv2.INTER_LINEAR)
    x = moved[:, :, 0] + np.arange(size, dtype=np.float32)[None, :]
    y = moved[:, :, 1] + np.arange(size, dtype=np.float32)[:, None]
    a = centres.astype(np.float32)
    return a[0, 0] * x + a[0, 1] * y + a[0, 2], a[1, 0] * x + a[1, 1] * y + a[1, 2]
