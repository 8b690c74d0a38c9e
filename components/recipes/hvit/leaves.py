"""Drawing leaves: outline, veins, a condition, and a photograph of it all.

What tells the conditions apart is form, not colour: lesions of all kinds take their colour from one distribution and
cover about as much of the leaf, healthy leaves may be as yellow as sick ones, and the ground may be as brown as a
lesion. A histogram of colours therefore says little (tests/data/test_hvit_synthetic.py measures it).
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Map = Float[np.ndarray, "s s"]
Colour = Float[np.ndarray, " 3"]

GREENS = np.array([[52, 110, 40], [96, 148, 58], [138, 160, 74], [70, 125, 80]], dtype=np.float32)
LESIONS = np.array([[92, 60, 34], [140, 100, 58], [58, 44, 34], [176, 150, 84]], dtype=np.float32)
GROUNDS = np.array([[150, 150, 152], [120, 92, 64], [66, 60, 52], [190, 180, 164], [104, 116, 86]], dtype=np.float32)


@dataclass(frozen=True)
class Leaf:
    """A leaf as it grew. Lengths in units of half its length: the midrib runs from u = -1 to u = 1.

    Attributes:
        width: Greatest half width.
        belly: Where it is widest: above 0 towards the tip.
        bend: Curvature of the midrib.
        teeth: Number and depth of the margin's teeth.
        veins: Number and slant of the side veins.
        green: Colour of the blade, RGB.
        lesion: Colour of what is sick, RGB.
        condition: A name of `CONDITIONS`.
        seed: Seed of what is scattered on the blade.
    """

    width: float
    belly: float
    bend: float
    teeth: tuple[float, float]
    veins: tuple[float, float]
    green: Colour
    lesion: Colour
    condition: str
    seed: int

    @classmethod
    def grown(cls, random: np.random.Generator, condition: str) -> "Leaf":
        """A random leaf with that condition."""
        return cls(
            width=random.uniform(0.38, 0.7),
            belly=random.uniform(-0.45, 0.1),
            bend=random.uniform(-0.22, 0.22),
            teeth=(random.uniform(8, 22), random.choice([0.0, 0.05, 0.1])),
            veins=(random.uniform(4, 8), random.uniform(0.5, 1.1)),
            green=_mixed(GREENS, random),
            lesion=_mixed(LESIONS, random),
            condition=condition,
            seed=int(random.integers(2**32)),
        )


@dataclass(frozen=True)
class _Blade:
    """Where every pixel lies on the leaf.

    Attributes:
        u: Along the midrib, -1 at the stalk, 1 at the tip.
        v: Across, 0 on the midrib.
        inside: 1 on the blade, 0 off it, soft over a pixel.
        edge: Distance to the margin, across; below 0 outside.
        pixel: Side of a pixel in leaf units.
    """

    u: Map
    v: Map
    inside: Map
    edge: Map
    pixel: float


def photograph(leaf: Leaf, random: np.random.Generator, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """A picture of a leaf: pose, ground and light are random, the leaf stays the same."""
    blade = _posed(leaf, random, size)
    own = np.random.Generator(np.random.Philox(key=leaf.seed))
    sick, yellow = CONDITION_MAPS[leaf.condition](blade, own)
    seen = _blade_colours(leaf, blade, own, sick, yellow)
    ground = _ground(random, size)
    shadow = 1 - 0.45 * np.roll(cv2.GaussianBlur(blade.inside, (0, 0), size / 40), (size // 32, size // 48), (0, 1))
    stalk = _soft(0.03 - np.abs(blade.v), blade.pixel) * ((blade.u < -0.9) & (blade.u > -1.35))
    ground = ground * shadow[:, :, None]
    ground += stalk[:, :, None] * (leaf.green * 0.9 - ground)
    picture = ground + blade.inside[:, :, None] * (seen - ground)
    return _exposed(picture, random)


def _posed(leaf: Leaf, random: np.random.Generator, size: int) -> _Blade:
    half = size * random.uniform(0.36, 0.47)
    angle = random.uniform(0, 2 * np.pi)
    centre = size / 2 + random.uniform(-0.06, 0.06, 2) * size
    axis = (np.arange(size, dtype=np.float32) + 0.5)[None] - centre[:, None].astype(np.float32)
    x, y = axis[0][None, :] / half, axis[1][:, None] / half
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u = x * cosine + y * sine
    v = y * cosine - x * sine - np.float32(leaf.bend) * (1 - u * u)
    number, depth = leaf.teeth
    rest = np.clip(1 - u * u, 0, None)
    half_width = leaf.width * rest**0.75 * (1 + leaf.belly * u) * (1 + depth * _saw(u * number))
    edge = (half_width - np.abs(v)).astype(np.float32)
    inside = _soft(edge, 1 / half) * (np.abs(u) < 1)
    return _Blade(u, v, inside.astype(np.float32), edge, 1 / half)


def _blade_colours(
    leaf: Leaf, blade: _Blade, own: np.random.Generator, sick: Map, yellow: Map
) -> Float[np.ndarray, "s s 3"]:
    """Green with veins and uneven tone, yellowed by `yellow`, and the lesions over it."""
    tone = 1 + 0.10 * _noise(own, blade, 3.0) + 0.06 * _noise(own, blade, 9.0)
    number, slant = leaf.veins
    side = np.abs(_saw((blade.u - slant * np.abs(blade.v)) * number))
    veins = np.maximum(np.exp(-((side / 0.13) ** 2)) * 0.6, np.exp(-((blade.v / 0.028) ** 2)))
    colour = leaf.green * (tone + 0.22 * veins)[:, :, None]
    faded = np.clip(own.uniform(0, 0.35) * (0.5 + 0.5 * _noise(own, blade, 1.2)) + yellow, 0, 1)[:, :, None]
    colour += faded * (np.array([186, 178, 74], np.float32) * tone[:, :, None] - colour)
    grain = 1 + 0.12 * _noise(own, blade, 14.0)
    colour += sick[:, :, None] * (leaf.lesion * grain[:, :, None] - colour)
    return np.asarray(colour, np.float32)


def _healthy(blade: _Blade, own: np.random.Generator) -> tuple[Map, Map]:
    """At most dry margins and a few tiny scars, such as any leaf has."""
    scars = [_disc(blade, *_place(own), own.uniform(0.015, 0.03)) for _ in range(int(own.integers(0, 4)))]
    dry = _soft(own.uniform(0, 0.03) - blade.edge, blade.pixel)
    return np.maximum.reduce([dry * 0.7, *scars]), np.zeros_like(blade.u)


def _spots(blade: _Blade, own: np.random.Generator) -> tuple[Map, Map]:
    """Many small round lesions, haloed."""
    sick, yellow = np.zeros_like(blade.u), np.zeros_like(blade.u)
    for _ in range(int(own.integers(16, 30))):
        u, v = _place(own)
        radius = own.uniform(0.035, 0.075)
        sick = np.maximum(sick, _disc(blade, u, v, radius))
        yellow = np.maximum(yellow, 0.5 * _disc(blade, u, v, 1.6 * radius))
    return sick, yellow


def _rings(blade: _Blade, own: np.random.Generator) -> tuple[Map, Map]:
    """A few large lesions of concentric rings, as a target."""
    sick, yellow = np.zeros_like(blade.u), np.zeros_like(blade.u)
    for _ in range(int(own.integers(3, 6))):
        u, v = _place(own)
        radius, rings = own.uniform(0.18, 0.28), own.uniform(2.2, 3.2)
        distance = np.hypot(blade.u - u, blade.v - v) / radius
        target = (0.5 + 0.5 * np.cos(2 * np.pi * rings * distance)) * _soft(1 - distance, blade.pixel / radius)
        sick = np.maximum(sick, target)
        yellow = np.maximum(yellow, 0.45 * _disc(blade, u, v, 1.15 * radius))
    return sick, yellow


def _blight(blade: _Blade, own: np.random.Generator) -> tuple[Map, Map]:
    """One or two ragged areas that have come in from the margin."""
    sick, yellow = np.zeros_like(blade.u), np.zeros_like(blade.u)
    ragged = 0.14 * _noise(own, blade, 4.0) + 0.06 * _noise(own, blade, 10.0)
    for _ in range(int(own.integers(1, 3))):
        u, side = own.uniform(-0.5, 0.9), own.choice([-1.0, 1.0])
        radius = own.uniform(0.32, 0.46)
        reach = radius + ragged - np.hypot(blade.u - u, blade.v - side * 0.42 * (1 - u * u) ** 0.5)
        sick = np.maximum(sick, _soft(reach, 2 * blade.pixel))
        yellow = np.maximum(yellow, 0.5 * _soft(reach + 0.09, 3 * blade.pixel))
    return sick, yellow


def _mosaic(blade: _Blade, own: np.random.Generator) -> tuple[Map, Map]:
    """A patchwork of yellow cells over the whole blade, with a few dead ones."""
    cells = _noise(own, blade, 7.0) + 0.5 * _noise(own, blade, 12.0)
    patches = _soft(cells - np.float32(own.uniform(0.0, 0.25)), 0.35)
    dead = _soft(cells - np.float32(own.uniform(0.75, 0.95)), 0.2)
    return dead, 0.75 * patches


CONDITION_MAPS: dict[str, Callable[[_Blade, np.random.Generator], tuple[Map, Map]]] = {
    "healthy": _healthy,
    "spots": _spots,
    "rings": _rings,
    "blight": _blight,
    "mosaic": _mosaic,
}
"""For each condition how much each pixel is dead, and how much it is yellowed."""

CONDITIONS = tuple(CONDITION_MAPS)


def _place(own: np.random.Generator) -> tuple[float, float]:
    """A point on the blade."""
    u = own.uniform(-0.75, 0.75)
    return u, own.uniform(-1, 1) * 0.38 * (1 - u * u) ** 0.75


def _disc(blade: _Blade, u: float, v: float, radius: float) -> Map:
    return _soft(radius - np.hypot(blade.u - np.float32(u), blade.v - np.float32(v)), blade.pixel)


def _soft(signed: Map, width: float) -> Map:
    """0 below, 1 above zero, linear over a pixel."""
    return np.clip(signed / np.float32(width) + np.float32(0.5), 0, 1)


def _saw(phase: Map) -> Map:
    """A triangle wave of period 1 between -1 and 1."""
    return np.asarray(4 * np.abs(phase - np.floor(phase + 0.5)) - 1, np.float32)


def _noise(own: np.random.Generator, blade: _Blade, frequency: float) -> Map:
    """Smooth noise fixed to the leaf: the same wherever the leaf lies in the picture."""
    side = int(2.8 * frequency) + 3
    grid = own.standard_normal((side, side)).astype(np.float32)
    where_u = (blade.u + np.float32(1.4)) * np.float32(frequency)
    where_v = (blade.v + np.float32(1.4)) * np.float32(frequency)
    found: Map = cv2.remap(grid, where_u, where_v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return found


def _ground(random: np.random.Generator, size: int) -> Float[np.ndarray, "s s 3"]:
    """Soil, paper or a table, with a gradient and a grain of its own."""
    colour = _mixed(GROUNDS, random)
    ramp = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = random.uniform(-0.3, 0.3, 2).astype(np.float32)
    grain = random.choice([0.02, 0.08, 0.2])
    rough = cv2.resize(random.standard_normal((size // 3 + 1,) * 2).astype(np.float32), (size, size))
    tone = 1 + slope[0] * ramp[:, None] + slope[1] * ramp[None] + np.float32(grain) * rough
    return np.asarray(colour * tone[:, :, None], np.float32)


def _exposed(picture: Float[np.ndarray, "s s 3"], random: np.random.Generator) -> UInt8[np.ndarray, "s s 3"]:
    """Exposure, white balance and noise of a camera."""
    gain = random.uniform(0.75, 1.25) * random.uniform(0.93, 1.07, 3)
    noise = random.standard_normal(picture.shape, dtype=np.float32) * np.float32(random.uniform(1, 5))
    exposed: UInt8[np.ndarray, "s s 3"] = np.clip(picture * gain.astype(np.float32) + noise, 0, 255).astype(np.uint8)
    return exposed


def _mixed(colours: Float[np.ndarray, "n 3"], random: np.random.Generator) -> Colour:
    """A random mixture of two of the colours."""
    one, other = random.choice(len(colours), 2, replace=False)
    share = random.uniform(0, 1)
    return np.asarray((1 - share) * colours[one] + share * colours[other], np.float32)
