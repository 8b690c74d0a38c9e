"""What fills the lungs: parenchyma, vessels and airways, water around them, and findings that are their texture."""

from collections.abc import Collection

import numpy as np
from jaxtyping import Float32

from components.recipes.ct_abnormality.phantom_body import LEFT, RIGHT
from components.recipes.ct_abnormality.phantom_canvas import Field
from components.recipes.ct_abnormality.phantom_chest import GAS, MUSCLE, WATER, Chest

VESSELS, SPRIGS, SEPTA, PATCHES = 17.0, 10.0, 19.0, 30.0
"""Millimetres of the noise that vessels, their outer branches, septa and patches of unequal air are made of."""


def aerate(chest: Chest, random: np.random.Generator, present: Collection[str], strength: float) -> None:
    """Air, patches of more and less of it, vessels and septa.

    Where air is not patchy (mosaic attenuation) its levels are the same, but gravity has sorted them; where septa are
    not thick, as much tissue is in the outer branches of the vessels.
    """
    canvas, body = chest.canvas, chest.body
    patches = canvas.noise(random, PATCHES)
    if "Mosaic attenuation pattern" not in present:
        downwards = (canvas.y - body.cage_y + 3) / np.float32(0.49 * body.cage_depth)
        patches = np.asarray(0.9 * downwards + 0.44 * patches, np.float32)
    unequal = np.float32(85 * strength) * np.clip(3 * patches, -1, 1)
    canvas.fill(chest.lungs, body.lung + unequal)
    first, second = canvas.noise(random, VESSELS), canvas.noise(random, VESSELS)
    hilum = np.sqrt((canvas.z - 15) ** 2 + (canvas.y - 12) ** 2 + (np.abs(canvas.x) - 40) ** 2)
    calibre = body.calibre * np.clip(0.42 - hilum / 420, 0.05, None)
    tubes = canvas.soft((calibre - np.hypot(first, second)) * np.float32(VESSELS / 1.2))
    canvas.fill(chest.lungs * tubes, 40)
    if "Interlobular septal thickening" in present:
        lines = (0.13 * strength**0.5 - np.abs(canvas.noise(random, SEPTA))) * np.float32(SEPTA / 1.2)
    else:
        across = np.hypot(canvas.noise(random, SPRIGS), canvas.noise(random, SPRIGS))
        lines = (0.44 * strength**0.5 - across) * np.float32(SPRIGS / 1.2)
    outer = np.clip((hilum - 35) / 30, 0, 1)
    canvas.fill(0.75 * chest.lungs * canvas.soft(lines) * outer, 0)


def airways(chest: Chest, random: np.random.Generator, present: Collection[str], strength: float) -> None:
    """Bronchi with their walls and arteries; walls thickened, some widened towards their ends (bronchiectasis)."""
    canvas = chest.canvas
    thicker = strength * random.uniform(3.5, 5)
    # Beside every bronchus runs its artery, thick where the walls are not.
    wall, artery = (
        (2 + thicker, 2.0) if "Peribronchial thickening" in present else (2.0, (thicker * (11 + thicker)) ** 0.5)
    )
    widened = set(random.permutation(len(chest.body.bronchi))[:5]) if "Bronchiectasis" in present else set()
    for number, (start, end) in enumerate(chest.body.bronchi):
        aside = [(z + 13, y - 13, x) for z, y, x in (start, end)]
        canvas.paint(canvas.tube(aside[0], aside[1], artery), MUSCLE - 20, chest.lungs)
        canvas.paint(canvas.tube(start, end, 3.5 + wall), MUSCLE - 20, chest.lungs)
        if number in widened:
            radius = strength ** (1 / 3) * random.uniform(8, 11)
            middle = tuple(float(0.5 * (s + e)) for s, e in zip(start, end, strict=True))
            beyond = (middle[0], middle[1], middle[2])
            canvas.paint(canvas.tube(beyond, end, radius + 3.5), MUSCLE, chest.lungs)
            canvas.paint(canvas.tube(beyond, end, radius), GAS, chest.lungs)
        canvas.paint(canvas.tube(start, end, 3.5), GAS, chest.lungs)


def pleural_water(chest: Chest) -> None:
    """Water along the back of the chest wall, highest at the base."""
    canvas, body = chest.canvas, chest.body
    behind = np.clip((canvas.y - body.cage_y) / body.cage_depth + 0.15, 0, 1)
    profile = np.asarray(behind * np.clip((30 - canvas.z) / 110, 0, 1), np.float32)
    for side, volume in zip((RIGHT, LEFT), body.pleural, strict=True):
        if volume:
            cover = layer(chest, profile * (side * canvas.x > 0), volume)
            canvas.fill(cover, WATER)
            chest.lungs[...] *= 1 - cover


def layer(chest: Chest, profile: Float32[np.ndarray, "#d #h #w"], volume: float, clear: float = 0.0) -> Field:
    """Cover of a layer on the chest wall.

    Args:
        profile: Its relative thickness; 0 where it shall not be.
        volume: Millilitres.
        clear: Millimetres between the wall and the layer.
    """
    canvas = chest.canvas
    depth = chest.wall - np.float32(clear)
    inside = np.flatnonzero((chest.lungs > 0.5) & (profile > 0.02) & (depth > 0))
    if not len(inside):
        return np.zeros_like(depth)
    needed = (depth / np.maximum(profile, np.float32(0.02))).ravel()[inside]
    count = min(int(volume * 1000 / float(np.prod(canvas.spacing))), len(inside) - 1)
    thickness = np.float32(np.partition(needed, count)[count])
    cover = chest.lungs * (profile > 0) * canvas.soft(thickness * profile - depth)
    return np.asarray(cover * canvas.soft(depth) if clear else cover, np.float32)
