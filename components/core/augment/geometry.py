"""Geometry of augmentation: flips, rotation, scale and the final square as one affine map of pixel centres."""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Matrix = Float[np.ndarray, "3 3"]


def shift(x: float, y: float) -> Matrix:
    """Translation."""
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def stretch(x: float, y: float) -> Matrix:
    """Scaling about the origin; a negative factor flips."""
    return np.array([[x, 0.0, 0.0], [0.0, y, 0.0], [0.0, 0.0, 1.0]])


def turn(degrees: float) -> Matrix:
    """Rotation about the origin."""
    sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def about_centre(inner: Matrix, height: int, width: int) -> Matrix:
    """The map `inner` taken about the middle of a picture (edge coordinates)."""
    centred: Matrix = shift(width / 2, height / 2) @ inner @ shift(-width / 2, -height / 2)
    return centred


def squash(height: int, width: int, size: int) -> Matrix:
    """Picture of [height, width] onto a square of `size` (edge coordinates)."""
    return stretch(size / width, size / height)


def reduce(image: UInt8[np.ndarray, "h w 3"], size: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Shrink the sides that are longer than `size` to it, by area; shorter sides stay."""
    height, width = min(image.shape[0], size), min(image.shape[1], size)
    if (height, width) == image.shape[:2]:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def warp_image(image: UInt8[np.ndarray, "h w 3"], edges: Matrix, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Bilinear; black outside of the picture."""
    return _warp(image, edges, size, cv2.INTER_LINEAR)


def warp_mask(mask: UInt8[np.ndarray, "h w"], edges: Matrix, size: int) -> UInt8[np.ndarray, "size size"]:
    """Nearest; background outside of the picture."""
    return _warp(mask, edges, size, cv2.INTER_NEAREST)


def _warp(pixels: UInt8[np.ndarray, "h w *c"], edges: Matrix, size: int, how: int) -> UInt8[np.ndarray, "s s *c"]:
    centres = shift(-0.5, -0.5) @ edges @ shift(0.5, 0.5)  # OpenCV's coordinates are those of pixel centres
    warped = cv2.warpAffine(pixels, centres[:2], (size, size), flags=how, borderMode=cv2.BORDER_CONSTANT)
    return warped.astype(np.uint8, copy=False)
