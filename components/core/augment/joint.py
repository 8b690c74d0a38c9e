"""Joint augmentation of a picture and its mask."""

import cv2
import numpy as np
from jaxtyping import UInt8
from pydantic import Field

from components.core.augment.geometry import Matrix, about_centre, reduce, squash, stretch, turn, warp_image, warp_mask
from components.core.augment.randomness import generator
from components.core.config import Values

Image = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]


class Augment(Values):
    """What an augmented view may differ in. Every range is drawn from uniformly.

    Attributes:
        flip_horizontal: Probability of a left-right flip.
        flip_vertical: Probability of an upside-down flip.
        rotation: Greatest rotation to either side, degrees, in the picture's own proportions.
        scale: Greatest relative change of size: 0.1 is 0.9 to 1.1.
        gamma: Greatest factor or divisor of the exponent, minus 1: 0.25 is 0.8 to 1.25 (uniform in its logarithm).
        contrast: Greatest relative change of contrast about the picture's mean.
        speckle: Greatest standard deviation of multiplicative noise, the same in all channels.
    """

    flip_horizontal: float = Field(default=0.5, ge=0, le=1)
    flip_vertical: float = Field(default=0.0, ge=0, le=1)
    rotation: float = Field(default=15.0, ge=0, le=180)
    scale: float = Field(default=0.1, ge=0, lt=1)
    gamma: float = Field(default=0.25, ge=0)
    contrast: float = Field(default=0.2, ge=0, lt=1)
    speckle: float = Field(default=0.1, ge=0)

    def apply(
        self, image: Image, mask: Mask, size: int, seed: int, key: tuple[int, ...]
    ) -> tuple[UInt8[np.ndarray, "size size 3"], UInt8[np.ndarray, "size size"]]:
        """One view of a picture and its mask, squashed to a square.

        Sides longer than `size` are first shrunk by area, so that nothing aliases; then one affine map does the
        rest. Masks take the nearest pixel of the full mask.

        Args:
            image: RGB.
            mask: Label values, of the same height and width.
            size: Side of the square, pixels.
            seed: Seed of the run's augmentation.
            key: View key; the empty tuple is the identity view.

        Returns:
            The view: a pure function of the arguments.

        Raises:
            ValueError: Picture and mask differ in size.
        """
        height, width = mask.shape
        if image.shape[:2] != (height, width):
            raise ValueError(f"picture {image.shape} and mask {mask.shape} differ in size")
        small = reduce(image, size)
        onto_square = squash(height, width, size)
        if not key:
            return resize_image(image, size), warp_mask(mask, onto_square, size)
        random = generator(seed, *key)
        moved = onto_square @ about_centre(self._geometry(random), height, width)
        from_small = stretch(width / small.shape[1], height / small.shape[0])
        view = warp_image(small, moved @ from_small, size)
        return self._photometry(view, random), warp_mask(mask, moved, size)

    def _geometry(self, random: np.random.Generator) -> Matrix:
        """Flips, rotation and scale about the origin; always draws the same number of numbers."""
        horizontal, vertical = random.random(2) < (self.flip_horizontal, self.flip_vertical)
        factor = 1 + random.uniform(-self.scale, self.scale)
        angle = random.uniform(-self.rotation, self.rotation)
        moved: Matrix = turn(angle) @ stretch(-factor if horizontal else factor, -factor if vertical else factor)
        return moved

    def _photometry(self, view: Image, random: np.random.Generator) -> Image:
        exponent = float(np.exp(random.uniform(-1, 1) * np.log1p(self.gamma)))
        factor = 1 + random.uniform(-self.contrast, self.contrast)
        strength = random.uniform(0, self.speckle)
        levels = 255 * (np.arange(256) / 255) ** exponent
        centre = float(levels[view[:, :, 1]].mean())
        table = np.clip(np.rint((levels - centre) * factor + centre), 0, 255).astype(np.uint8)
        # Black stays black: it is the outside of the picture, for ultrasound fans as for rotated squares.
        table[0] = 0
        toned = cv2.LUT(view, table)
        if strength == 0:
            return toned.astype(np.uint8, copy=False)
        noise = random.standard_normal(view.shape[:2], dtype=np.float32)[:, :, None] * np.float32(strength)
        speckled: Image = np.clip(np.rint(toned * (1 + noise)), 0, 255).astype(np.uint8)
        return speckled


def resize_image(image: Image, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Squash a picture to a square: sides are shrunk by area and stretched bilinearly.

    Args:
        image: RGB.
        size: Side of the square, pixels.
    """
    small = reduce(image, size)
    if small.shape[:2] == (size, size):
        return small.copy() if small is image else small
    return warp_image(small, squash(small.shape[0], small.shape[1], size), size)


def resize_mask(mask: Mask, size: int) -> UInt8[np.ndarray, "size size"]:
    """Squash a mask to a square, each pixel taking the nearest label."""
    return warp_mask(mask, squash(mask.shape[0], mask.shape[1], size), size)
