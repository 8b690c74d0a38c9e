"""A chest without findings, painted from the outside in."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from components.recipes.ct_abnormality.phantom_body import LEFT, RIGHT, Body
from components.recipes.ct_abnormality.phantom_canvas import Canvas, Field, Number, Point, Stamp

FAT, MUSCLE, WATER, BONE, GAS = -95.0, 52.0, 6.0, 280.0, -985.0
RIB_PITCH = 29.0


@dataclass(frozen=True)
class Chest:
    """A painted chest and where things are in it.

    Attributes:
        lungs: Cover of what holds air and no vessel or organ, pleural water excluded.
        wall: Millimetres from the inner chest wall, positive inside.
        height: Millimetres above the diaphragm.
    """

    canvas: Canvas
    body: Body
    lungs: Field
    wall: Field
    height: Field

    def organ(self, stamp: Stamp, level: Number) -> None:
        """Paint something that displaces lung."""
        self.canvas.paint(stamp, level)
        self.lungs[stamp.box] *= 1 - stamp.cover

    def spot(self, random: np.random.Generator, heights: tuple[float, float], margin: Number) -> Point:
        """A random place inside a lung, `margin` millimetres from what is none along every axis.

        Args:
            heights: Range of z as fractions of the lungs' extent, 0 at the diaphragm and 1 at the apex.
        """
        body = self.body
        base, top = body.diaphragm - 0.5 * body.dome, body.apex - 10
        place: Point = (0.0, 0.0, 0.0)
        for _ in range(80):
            z = base + (top - base) * random.uniform(*heights)
            y = body.cage_y + body.cage_depth * random.uniform(-0.85, 0.85)
            x = random.choice([RIGHT, LEFT]) * random.uniform(30, body.cage_width)
            place = (float(z), float(y), float(x))
            if all(self._airy(place, axis, step) for axis in range(3) for step in (-margin, 0.0, margin)):
                break
        return place

    def _airy(self, place: Point, axis: int, step: Number) -> bool:
        moved = [p + step * (axis == number) for number, p in enumerate(place)]
        index = []
        for p, spacing, count in zip(moved, self.canvas.spacing, self.lungs.shape, strict=True):
            index.append(min(max(round(p / spacing + (count - 1) / 2), 0), count - 1))
        return bool(self.lungs[tuple(index)] > 0.9)


def paint(canvas: Canvas, body: Body) -> Chest:
    """Skin to lungs; the lungs are empty as yet (`phantom_lungs` fills them), the mediastinum is not painted."""
    taper = 1 - 0.14 * np.clip((canvas.z - 40) / 100, 0, 1) ** 2
    rho = np.sqrt(np.abs(canvas.x / body.half_width) ** 2.4 + np.abs(canvas.y / body.half_depth) ** 2.4)
    skin = (taper - rho ** (2 / 2.4)) * np.float32(body.half_depth)
    canvas.fill(canvas.soft(skin), FAT)
    canvas.fill(canvas.soft(skin - np.float32(body.fat)), MUSCLE)
    _table(canvas, body)
    wall = _wall(canvas, body)
    _ribs(canvas, body, wall)
    cavity = canvas.soft(wall)
    canvas.fill(cavity, FAT)
    height = canvas.z - _diaphragm(canvas, body)
    _abdomen(canvas, body, cavity, height)
    lungs = cavity * canvas.soft(height) * canvas.soft(np.abs(canvas.x) - _mediastinum(canvas))
    return Chest(canvas, body, lungs, wall, height)


def _table(canvas: Canvas, body: Body) -> None:
    """What the patient lies on."""
    curve = canvas.y - np.float32(body.half_depth + 7) + 1.2e-3 * canvas.x**2 * np.ones_like(canvas.z)
    canvas.fill(canvas.soft(4 - np.abs(curve)) * (np.abs(canvas.x) < 165), -350)


def _wall(canvas: Canvas, body: Body) -> Field:
    """Distance from the inner side of the ribs; the cage closes above."""
    rise = np.clip((canvas.z - 5) / (body.apex - 5), 0, 1)
    scale = np.sqrt(np.maximum(1 - rise**2.6, 0))
    rho = np.hypot(canvas.x / body.cage_width, (canvas.y - body.cage_y) / body.cage_depth)
    return np.asarray((scale - rho) * np.float32(body.cage_depth), np.float32)


def _ribs(canvas: Canvas, body: Body, wall: Field) -> None:
    """Slanting ribs around the cage, the sternum in front, the shoulder blades and the spine behind."""
    phase = (canvas.z - 0.42 * canvas.y + 0.05 * np.abs(canvas.x)) / RIB_PITCH
    slab = (0.23 - np.abs(phase - np.floor(phase) - 0.5)) * np.float32(RIB_PITCH)
    shell = 4.5 - np.abs(wall + 7)
    sides = np.abs(canvas.x) - 17
    canvas.fill(canvas.soft(np.minimum(np.minimum(slab, shell), sides)), BONE + 60)
    front = body.cage_y - body.cage_depth - 6
    canvas.paint(canvas.ellipsoid((10, front, 0), (75, 7, 17)), BONE - 80)
    for side in (RIGHT, LEFT):
        blade = canvas.plate((75, 0.72 * body.half_depth, side * 0.62 * body.half_width), (0, 1, side * 0.75), 48, 8)
        canvas.paint(blade, BONE)


def spine(chest: Chest) -> None:
    """Vertebrae with discs between them, the canal and the processes."""
    canvas, body = chest.canvas, chest.body
    y = body.spine_y
    disc = np.abs((canvas.z / 30) - np.floor(canvas.z / 30) - 0.5) > 0.4
    low, high = (-170.0, y), (170.0, y)
    column = canvas.tube((low[0], y, 0), (high[0], y, 0), 18)
    chest.organ(canvas.tube((low[0], y + 6, 0), (high[0], y + 6, 0), 20), MUSCLE)
    canvas.paint(column, BONE - 60)
    canvas.units[column.box] -= column.cover * disc * np.float32(140)
    arch = y + 26
    canvas.paint(canvas.tube((-170, arch, 0), (170, arch, 0), 14), BONE)
    canvas.paint(canvas.tube((-170, arch, 0), (170, arch, 0), 8), 25)
    for side in (RIGHT, LEFT):
        canvas.paint(canvas.tube((-170, arch + 4, side * 22), (170, arch + 4, side * 22), 7), BONE - 60)


def _diaphragm(canvas: Canvas, body: Body) -> Field:
    """Its height [1, h, w]: two domes, the right one higher."""
    across = (np.abs(canvas.x) - 0.52 * body.cage_width) / (0.55 * body.cage_width)
    along = (canvas.y - body.cage_y) / body.cage_depth
    lower = np.where(canvas.x > 0, np.float32(8), np.float32(0))
    return np.asarray(body.diaphragm - lower - body.dome * (across**2 + 1.1 * along**2), np.float32)


def _abdomen(canvas: Canvas, body: Body, cavity: Field, height: Field) -> None:
    """Fluid under the diaphragm, the liver on the right, spleen and stomach on the left."""
    below = cavity * canvas.soft(-3 - height)
    canvas.fill(cavity * canvas.soft(-height), MUSCLE)
    canvas.fill(below, WATER)
    depth = np.float32(-3 - body.ascites)
    organs = cavity * canvas.soft(depth - height)
    canvas.fill(organs, FAT)
    right = canvas.soft(32 - canvas.x + 0.25 * canvas.y)
    canvas.fill(organs * right, body.liver)
    spleen = canvas.ellipsoid((-128, 0.45 * body.cage_depth, 0.66 * body.cage_width), (42, 34, 34))
    canvas.paint(spleen, body.liver + 10, organs)


def _mediastinum(canvas: Canvas) -> Field:
    """Half its width [d, h, 1]: wider at the hila."""
    middle = 12 * np.exp(-(((canvas.y - 8) / 36) ** 2))
    hila = 15 * np.exp(-(((canvas.z - 15) / 22) ** 2) - ((canvas.y - 12) / 24) ** 2)
    return np.asarray(13 + middle + hila, np.float32)


def mediastinum(chest: Chest) -> None:
    """Heart with its bag, great vessels, airways and oesophagus."""
    canvas, body = chest.canvas, chest.body
    heart, radii, blood = body.heart, body.heart_radii, body.blood
    bag = (radii[0] + body.pericardial, radii[1] + body.pericardial, radii[2] + body.pericardial)
    if body.pericardial:
        chest.organ(canvas.ellipsoid(heart, bag), WATER)
    chest.organ(canvas.ellipsoid(heart, radii), blood)
    for start, end in pairwise(body.aorta):
        chest.organ(canvas.tube(start, end, 12.5), blood + 10)
    chest.organ(canvas.tube((-20, heart[1] + 18, -26), (150, heart[1] + 18, -24), 8), blood - 10)
    trunk = (12.0, heart[1] + 10, 14.0)
    chest.organ(canvas.tube((-15, heart[1] - 4, 10), trunk, 13), blood)
    for side in (RIGHT, LEFT):
        chest.organ(canvas.tube(trunk, (16, 12, side * 40), 8.5), blood)
        chest.organ(canvas.tube((38, 14, side * 4), (17, 14, side * 44), 9), MUSCLE)
        canvas.paint(canvas.tube((38, 14, side * 4), (17, 14, side * 44), 6.5), GAS)
    chest.organ(canvas.tube((40, 14, 0), (170, 12, 0), 11), MUSCLE)
    canvas.paint(canvas.tube((38, 14, 0), (170, 12, 0), 8.5), GAS)
    chest.organ(canvas.tube((-120, body.spine_y - 34, 6), (160, body.spine_y - 34, 4), 6.5), MUSCLE - 10)
