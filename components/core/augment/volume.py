"""Augmentation of the slices of a volume: all of them alike, and within what a scanner could have shown."""

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from components.core.augment.geometry import Matrix, about_centre, reduce, shift, squash, stretch, turn
from components.core.augment.randomness import generator
from components.core.config import Values

Slices = UInt8[np.ndarray, "n h w 3"]


class VolumeAugment(Values):
    """What an augmented view of a volume may differ in. Every range is drawn from uniformly, once for all slices.

    Flips are off: they would put the heart on the right.

    Attributes:
        flip_horizontal: Probability of a left-right flip.
        rotation: Greatest rotation in the plane to either side, degrees.
        scale: Greatest relative change of size: 0.1 is 0.9 to 1.1.
        shift: Greatest shift to either side, as a share of the picture's side.
        brightness: Greatest shift of the grey levels to either side, as a share of the window's width.
        contrast: Greatest relative change of contrast about the middle of the window.
        noise: Greatest standard deviation of Gaussian noise, as a share of the window's width.
    """

    flip_horizontal: float = Field(default=0.0, ge=0, le=1)
    rotation: float = Field(default=10.0, ge=0, le=180)
    scale: float = Field(default=0.1, ge=0, lt=1)
    shift: float = Field(default=0.05, ge=0, lt=1)
    brightness: float = Field(default=0.05, ge=0, lt=1)
    contrast: float = Field(default=0.1, ge=0, lt=1)
    noise: float = Field(default=0.02, ge=0, lt=1)

    def apply(self, slices: Slices, size: int, seed: int, key: tuple[int, ...]) -> UInt8[np.ndarray, "n size size 3"]:
        """One view of a volume's slices, squashed to squares: a pure function of the arguments. Safe in threads.

        Args:
            size: Side of the squares, pixels.
            seed: Seed of the augmentation.
            key: View key; the empty tuple is the volume as it is, only resized.
        """
        if not key:
            return resize_slices(slices, size)
        # A stream for each step: one changed number leaves the draws of the other step as they were.
        geometry, levels = (generator(seed, *key, step) for step in range(2))
        return self._levels(_warped(slices, self._geometry(geometry, size), size), levels)

    def _geometry(self, random: np.random.Generator, size: int) -> Matrix:
        """The map of the square onto itself; always draws the same number of numbers."""
        mirrored = random.random() < self.flip_horizontal
        angle, factor, across, down = random.uniform(-1, 1, 4) * (self.rotation, self.scale, self.shift, self.shift)
        onto = turn(angle) @ stretch(-(1 + factor) if mirrored else 1 + factor, 1 + factor)
        moved: Matrix = shift(across * size, down * size) @ about_centre(onto, size, size)
        return moved

    def _levels(self, slices: Slices, random: np.random.Generator) -> Slices:
        up, stretched, noise = random.uniform(-1, 1, 3) * (self.brightness, self.contrast, self.noise)
        table = (np.arange(256) - 127.5) * (1 + stretched) + 127.5 + 255 * up
        toned: Slices = np.clip(np.rint(table), 0, 255).astype(np.uint8)[slices]
        strength = abs(noise) * 255
        if strength < MILD:
            return toned
        grain = random.standard_normal(toned.shape, dtype=np.float32) * np.float32(strength)
        noisy: Slices = np.clip(np.rint(toned + grain), 0, 255).astype(np.uint8)
        return noisy


MILD = 0.5
"""Noise of a smaller standard deviation, in grey levels, is mostly rounded away: it is left out."""


def resize_slices(slices: Slices, size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """Squash slices to squares: sides are shrunk by area and stretched bilinearly."""
    if slices.shape[1:3] == (size, size):
        return slices
    return _warped(slices, np.eye(3), size)


def _warped(slices: Slices, inside: Matrix, size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """Slices onto a square, and the square onto itself. What lies outside repeats the border: air is no zero."""
    small = [reduce(each, size) for each in slices]
    height, width = small[0].shape[:2]
    edges = inside @ squash(height, width, size)
    centres = shift(-0.5, -0.5) @ edges @ shift(0.5, 0.5)  # OpenCV's coordinates are those of pixel centres
    warped = [
        cv2.warpAffine(each, centres[:2], (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        for each in small
    ]
    return np.stack(warped).astype(np.uint8, copy=False)
