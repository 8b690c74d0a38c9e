"""RandAugment with torchvision's operations and our own random numbers."""

import numpy as np
import torch
from torchvision.transforms.v2 import InterpolationMode, RandAugment

from components.core.augment.joint import Image

BINS = 31
"""Strengths of every operation, as in torchvision."""

OPERATIONS = RandAugment(num_magnitude_bins=BINS, interpolation=InterpolationMode.BILINEAR)


def rand_augment(view: Image, operations: int, magnitude: int, random: np.random.Generator) -> Image:
    """Send a view through some operations of RandAugment (Cubuk et al. 2020, arXiv:1909.13719).

    The table of operations and their pixels are torchvision's. Its class draws from torch's global generator, which
    loader threads share with the training step: the draws are made here, and each operation is asked for by name.

    Args:
        view: RGB.
        operations: How many, each drawn from all of them.
        magnitude: Strength, 0 to 30.
    """
    space = OPERATIONS._AUGMENTATION_SPACE
    names = list(space)
    pixels = torch.from_numpy(view).permute(2, 0, 1)
    for name, sign in zip(random.integers(len(names), size=operations), random.random(operations), strict=True):
        strengths, signed = space[names[name]]
        found = strengths(BINS, *view.shape[:2])
        strength = 0.0 if found is None else float(found[magnitude]) * (-1 if signed and sign < 0.5 else 1)
        pixels = OPERATIONS._apply_image_or_video_transform(
            pixels, names[name], strength, interpolation=OPERATIONS.interpolation, fill=OPERATIONS._fill
        )
    done: Image = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    return done
