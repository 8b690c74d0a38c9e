"""Brightness, contrast, saturation, hue and grey of a picture of eight bits: torchvision's operations by OpenCV."""

import cv2
import numpy as np

from components.core.augment.joint import Image


def brighten(image: Image, factor: float) -> Image:
    """Multiply by a factor; 1 changes nothing."""
    return _bytes(cv2.convertScaleAbs(image, alpha=factor))


def spread(image: Image, factor: float) -> Image:
    """Contrast: multiply the distance from the mean of the grey values; 1 changes nothing."""
    mean = round(cv2.mean(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY))[0])
    return _bytes(cv2.addWeighted(image, factor, image, 0.0, (1 - factor) * mean))


def saturate(image: Image, factor: float) -> Image:
    """Multiply the distance from the pixel's own grey; 1 changes nothing, 0 is grey."""
    return _bytes(cv2.addWeighted(image, factor, grey(image), 1 - factor, 0.0))


def turn_hue(image: Image, turn: float) -> Image:
    """Turn the hue; 1 is once around.

    In float32, because eight bits of hue are visible steps of a full colour, and in one place: new memory at every
    step costs five times the arithmetic.
    """
    colours = image.astype(np.float32)
    cv2.cvtColor(colours, cv2.COLOR_RGB2HSV, dst=colours)
    np.add(colours[:, :, 0], 360 * (turn % 1), out=colours[:, :, 0])  # the way back unwinds what is past 360
    cv2.cvtColor(colours, cv2.COLOR_HSV2RGB, dst=colours)
    return _bytes(cv2.convertScaleAbs(colours))


def grey(image: Image) -> Image:
    """Luminance (ITU-R BT.601) in all three channels."""
    return _bytes(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def _bytes(pixels: object) -> Image:
    """OpenCV's result as what it is: nothing is copied."""
    return np.asarray(pixels, dtype=np.uint8)
