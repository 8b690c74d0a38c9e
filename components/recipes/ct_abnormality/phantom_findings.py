"""Findings that are things at places, and where the same things lie when they mean nothing."""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from components.core.augment.randomness import generator
from components.recipes.ct_abnormality.phantom_body import LEFT, RIGHT
from components.recipes.ct_abnormality.phantom_canvas import Field, Point
from components.recipes.ct_abnormality.phantom_chest import GAS, MUSCLE, WATER, Chest
from components.recipes.ct_abnormality.phantom_lungs import layer

METAL = 2600.0

Finding: TypeAlias = Callable[[Chest, np.random.Generator, bool, float], None]
"""Paints a finding, or what weighs it up where it is absent. Takes its strength: 1 is the usual size."""


def opacity(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Round areas of ground glass; else as much of it as a thin layer that gravity made."""
    radii = strength ** (1 / 3) * random.uniform(26, 36, int(random.integers(2, 4)))
    cover = _balls(chest, [(chest.spot(random, (0.15, 0.8), 16), float(radius)) for radius in radii])
    if not present:
        behind = np.clip((chest.canvas.y - chest.body.cage_y) / chest.body.cage_depth, 0, 1)
        cover = layer(chest, behind, _millilitres(chest, cover), 1.2 * chest.canvas.pixel)
    level = random.uniform(-630, -520)
    chest.canvas.fill(cover * (chest.canvas.units < level), level)


def emphysema(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Holes of all sizes in the upper halves; else as much air as a thin layer in front."""
    radii = strength ** (1 / 3) * random.uniform(8, 17, int(random.integers(22, 32)))
    cover = _balls(chest, [(chest.spot(random, (0.4, 1.0), 4), float(radius)) for radius in radii])
    if not present:
        before = np.clip((chest.body.cage_y - chest.canvas.y) / chest.body.cage_depth, 0, 1)
        cover = layer(chest, before, _millilitres(chest, cover), 1.2 * chest.canvas.pixel)
    chest.canvas.fill(cover, GAS - 10)


def _balls(chest: Chest, balls: Sequence[tuple[Point, float]]) -> Field:
    """Cover of the lungs by balls, given by middle and radius."""
    cover = np.zeros_like(chest.lungs)
    for place, radius in balls:
        stamp = chest.canvas.ellipsoid(place, (radius, radius, radius))
        np.maximum(cover[stamp.box], stamp.cover, out=cover[stamp.box])
    return np.asarray(cover * chest.lungs, np.float32)


def _millilitres(chest: Chest, cover: Field) -> float:
    return float(cover.sum() * np.prod(chest.canvas.spacing)) / 1000


def consolidation(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """A ragged airless area with open airways in it, on the wall."""
    if not present:
        return
    canvas = chest.canvas
    z, y, x = chest.spot(random, (0.2, 0.7), 12)
    radius = strength ** (1 / 3) * random.uniform(30, 38)
    for _ in range(6):
        shift = random.normal(0, 0.45 * radius, 3)
        place = (z + float(shift[0]), y + float(shift[1]), x + float(shift[2]))
        canvas.paint(canvas.ellipsoid(place, (radius, 0.7 * radius, 0.7 * radius)), MUSCLE, chest.lungs)
    for _ in range(4):
        shift = random.normal(0, 0.5 * radius, 3)
        end = (z + float(shift[0]), y + float(shift[1]), x + float(shift[2]))
        canvas.paint(canvas.tube((z, y, x), end, 2.6), GAS, chest.lungs)


def atelectasis(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Oblique plates above the diaphragm."""
    if not present:
        return
    canvas = chest.canvas
    for _ in range(int(random.integers(3, 6))):
        place = chest.spot(random, (0.1, 0.45), 8)
        normal = (1.0, float(random.normal(0, 1.2)), float(random.normal(0, 0.8)))
        plate = canvas.plate(place, normal, strength ** (1 / 3) * random.uniform(36, 50), random.uniform(6, 8))
        canvas.paint(plate, MUSCLE - 10, chest.lungs)


def nodules(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Round and solid, surrounded by air; else as many on the skin."""
    canvas, body = chest.canvas, chest.body
    for radius in strength ** (1 / 3) * random.uniform(11, 15, int(random.integers(2, 5))):
        place = chest.spot(random, (0.1, 0.95), radius + 3)
        if not present:
            angle, height = random.uniform(0, 2 * np.pi), random.uniform(-100, 80)
            place = (height, body.half_depth * float(np.sin(angle)), body.half_width * float(np.cos(angle)))
        canvas.paint(canvas.ellipsoid(place, (radius, radius, radius)), MUSCLE)


def fibrosis(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Strands that run together to scars in the upper lobes."""
    if not present:
        return
    canvas = chest.canvas
    for _ in range(int(random.integers(3, 5))):
        z, y, x = chest.spot(random, (0.55, 0.95), 6)
        for _ in range(7):
            way = random.normal(0, 1, 3)
            way *= strength ** (1 / 3) * random.uniform(36, 56) / np.linalg.norm(way)
            end = (z + float(0.6 * way[0]), y + float(way[1]), x + float(way[2]))
            canvas.paint(canvas.tube((z, y, x), end, 3.2), MUSCLE, chest.lungs)
        canvas.paint(canvas.ellipsoid((z, y, x), (8, 8, 8)), MUSCLE, chest.lungs)


def material(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """A lead through the upper vein into the heart with its device under the skin; else wires on the skin."""
    canvas, body = chest.canvas, chest.body
    front = -body.half_depth
    side = float(random.choice([RIGHT, LEFT]))
    device = (random.uniform(70, 90), front + body.fat + 10, side * random.uniform(60, 85))
    vein = (random.uniform(60, 75), body.heart[1] + 18, -24.0)
    path = [device, vein, (-20.0, body.heart[1] + 14, -24.0), (random.uniform(-70, -55), body.heart[1], 18.0)]
    if not present:
        path = _on_the_skin(path, front - 11, random)
    size, thickness = random.uniform(13, 19), random.uniform(1.8, 2.6) * strength**0.5
    # Insulated, so that outside of the body as well the edges of the metal blend with soft tissue, not with air.
    for start, end in pairwise(path):
        canvas.paint(canvas.tube(start, end, thickness + 5), MUSCLE)
    canvas.paint(canvas.ellipsoid(path[0], (size + 5, 11, size + 5)), MUSCLE)
    canvas.paint(canvas.ellipsoid(path[0], (size, 6, size)), METAL)
    for start, end in pairwise(path):
        canvas.paint(canvas.tube(start, end, thickness), METAL)


def _on_the_skin(path: Sequence[Point], y: float, random: np.random.Generator) -> list[Point]:
    """A path of the same lengths in front of the chest."""
    laid = [(path[0][0], y, path[0][2])]
    for start, end in pairwise(path):
        length = float(np.linalg.norm(np.subtract(end, start)))
        z, _, x = laid[-1]
        angle = random.uniform(0, 2 * np.pi)
        # Back to the middle where the way would leave the chest.
        ways = [(length * np.sin(angle + turn), length * np.cos(angle + turn)) for turn in np.arange(0, 6.3, 0.8)]
        dz, dx = min(ways, key=lambda way: max(abs(z + way[0]) / 100, abs(x + way[1]) / 80))
        laid.append((z + float(dz), y, x + float(dx)))
    return laid


def arterial_calcium(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Shells on the wall of the aorta; else as much in the vertebrae, where bone is anyway."""
    canvas, body = chest.canvas, chest.body
    top, bottom = body.aorta[3], body.aorta[4]
    bone_islands(chest, random)
    for _ in range(int(random.integers(4, 9))):
        share, angle = random.uniform(0, 0.75), random.uniform(0, 2 * np.pi)
        z, y, x = (float(a + share * (b - a)) for a, b in zip(top, bottom, strict=True))
        centre = (z, y + 12 * float(np.cos(angle)), x + 12 * float(np.sin(angle)))
        if not present:
            centre = (z, body.spine_y + 9 * float(np.cos(angle)), 9 * float(np.sin(angle)))
        across = strength ** (1 / 3) * random.uniform(4.2, 5.8)
        canvas.paint(canvas.ellipsoid(centre, (random.uniform(12, 20), across, across)), random.uniform(550, 950))


def bone_islands(chest: Chest, random: np.random.Generator) -> None:
    """Dense spots in the vertebrae, which anybody may have."""
    for _ in range(int(random.integers(0, 8))):
        place = (random.uniform(-140, 100), chest.body.spine_y + random.uniform(-9, 9), random.uniform(-10, 10))
        stamp = chest.canvas.ellipsoid(place, (random.uniform(6, 18), 5, 5))
        chest.canvas.paint(stamp, random.uniform(550, 950))


def coronary_calcium(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Beads along the arteries on the front of the heart; else as much in the breastbone and the arches."""
    canvas, body = chest.canvas, chest.body
    heart, radii = body.heart, np.array(body.heart_radii)
    turn = random.uniform(0.1, 0.5)
    bone_islands(chest, random)
    for step in np.linspace(0, 1, int(random.integers(5, 8))):
        polar = 0.7 + 1.2 * step
        way = np.array([np.cos(polar), -np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn)])
        z, y, x = (float(h + r * w) for h, r, w in zip(heart, 0.96 * radii, way, strict=True))
        place: Point = (z, y, x)
        if not present:
            place = (random.uniform(-60, 70), body.cage_y - body.cage_depth - 6, random.uniform(-10, 10))
        size = strength ** (1 / 3) * random.uniform(4.5, 6)
        canvas.paint(canvas.ellipsoid(place, (1.3 * size, size, size)), random.uniform(550, 950))


def hernia(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """The stomach with its fluid and gas: above the diaphragm behind the heart, or below it where it belongs."""
    canvas, body = chest.canvas, chest.body
    size = strength ** (1 / 3) * random.uniform(24, 30)
    place: Point = (-72.0, body.spine_y - 36, random.uniform(-4, 14))
    if not present:
        place = (body.diaphragm - 14 - 1.2 * size, -20.0, 0.5 * body.cage_width)
    z, y, x = place
    chest.organ(canvas.ellipsoid(place, (1.2 * size, size, 1.1 * size)), MUSCLE)
    canvas.paint(canvas.ellipsoid(place, (1.2 * size - 5, size - 5, 1.1 * size - 5)), WATER)
    canvas.paint(canvas.ellipsoid((z, y - 0.35 * size, x), (0.8 * size, 0.5 * size, 0.75 * size)), GAS)


def lymph_nodes(chest: Chest, random: np.random.Generator, present: bool, strength: float) -> None:
    """Enlarged nodes around the windpipe, the arch and the hila; else lumps under the skin."""
    canvas, body = chest.canvas, chest.body
    stations: tuple[Point, ...] = (
        (62, 4, -22), (44, 0, 24), (88, 12, 22), (84, 10, -24), (4, 24, 4), (60, -34, 14), (20, 6, 52), (18, 8, -52),
    )  # fmt: skip
    chosen = random.permutation(len(stations))[: int(random.integers(4, 7))]
    for number in chosen:
        z, y, x = (float(p + random.normal(0, 2.5)) for p in stations[number])
        radius = strength ** (1 / 3) * random.uniform(13, 17)
        place: Point = (z, y, x)
        if not present:
            place = (z, -body.half_depth + 0.5 * body.fat, 2.5 * x)
        stamp = canvas.ellipsoid(place, (1.15 * radius, radius, 0.85 * radius))
        chest.organ(stamp, MUSCLE + 10)


THINGS: dict[str, Finding] = {
    "Hiatal hernia": hernia,
    "Lymphadenopathy": lymph_nodes,
    "Lung opacity": opacity,
    "Emphysema": emphysema,
    "Atelectasis": atelectasis,
    "Pulmonary fibrotic sequela": fibrosis,
    "Consolidation": consolidation,
    "Lung nodule": nodules,
    "Coronary artery wall calcification": coronary_calcium,
    "Arterial wall calcification": arterial_calcium,
    "Medical material": material,
}
"""In the order of painting."""


def scatter(chest: Chest, integers: Sequence[int], present: Collection[str], strength: float) -> None:
    """All of them, each drawn from randomness of its own, so that one label does not move another's finding.

    Args:
        integers: What the randomness is a function of.
    """
    for number, (label, finding) in enumerate(THINGS.items()):
        finding(chest, generator(*integers, number), label in present, strength)
