"""The person in the scanner: sizes and places, in millimetres, of what every chest has."""

from dataclasses import dataclass

import numpy as np

from components.recipes.ct_abnormality.phantom_canvas import Point

RIGHT, LEFT = -1, 1
"""Sides of the patient, as signs of x."""


@dataclass(frozen=True)
class Body:
    """A person, before anything is painted.

    Lengths are millimetres, levels Hounsfield units. `cage` is the ellipse of the ribs' inner side.
    """

    half_width: float
    half_depth: float
    fat: float
    cage_width: float
    cage_depth: float
    apex: float
    diaphragm: float
    dome: float
    heart_x: float
    heart_radii: Point
    blood: float
    liver: float
    lung: float
    calibre: float
    ascites: float = 0.0
    pericardial: float = 0.0
    pleural: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def grown(cls, random: np.random.Generator) -> "Body":
        """Somebody."""
        half_width, half_depth = random.uniform(146, 170), random.uniform(106, 122)
        fat, muscle = random.uniform(8, 18), random.uniform(10, 15)
        size = random.uniform(0.95, 1.05)
        return cls(
            half_width=half_width,
            half_depth=half_depth,
            fat=fat,
            cage_width=half_width - fat - muscle,
            cage_depth=half_depth - fat - muscle,
            apex=random.uniform(126, 140),
            diaphragm=random.uniform(-90, -68),
            dome=random.uniform(34, 46),
            heart_x=random.uniform(14, 21),
            heart_radii=(48 * size, 38 * size, 48 * size),
            blood=random.uniform(110, 170),
            liver=random.uniform(95, 145),
            lung=random.uniform(-870, -810),
            calibre=random.uniform(0.85, 1.0),
            ascites=random.uniform(0, 12),
        )

    @property
    def cage_y(self) -> float:
        """Middle of the ribs' ellipse."""
        return -4.0

    @property
    def spine_y(self) -> float:
        """Middle of the vertebral bodies."""
        return self.cage_y + self.cage_depth - 10

    @property
    def heart(self) -> Point:
        """Middle of the heart, which grows to the left."""
        return -44.0, self.cage_y - 0.26 * self.cage_depth, self.heart_x + 0.5 * (self.heart_radii[2] - 48)

    @property
    def aorta(self) -> tuple[Point, ...]:
        """Its axis, from the heart over the arch down to the abdomen."""
        front, down = self.heart[1] + 14, self.spine_y - 24
        return (
            (self.heart[0] + 30, front, -4.0),
            (50.0, front, -8.0),
            (70.0, 0.5 * (front + down), 8.0),
            (55.0, down, 26.0),
            (-150.0, down + 4, 22.0),
        )

    @property
    def bronchi(self) -> tuple[tuple[Point, Point], ...]:
        """Axes of the airways in the lungs, from the hilum outwards, five on each side."""
        ends = ((88.0, -14.0, 64.0), (62.0, 30.0, 88.0), (-14.0, -42.0, 88.0), (-62.0, 42.0, 82.0), (-50.0, 8.0, 104.0))
        return tuple(
            ((17.0, 14.0, side * 42.0), (end[0], end[1], side * end[2] * self.cage_width / 130))
            for side in (RIGHT, LEFT)
            for end in ends
        )
