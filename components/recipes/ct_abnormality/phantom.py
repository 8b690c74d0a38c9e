"""Phantoms of chest CT: made-up chests with made-up findings, functions of a few integers."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Int16
from pydantic import Field

from components.core.augment.randomness import generator
from components.core.config import Values
from components.recipes.ct_abnormality import phantom_chest
from components.recipes.ct_abnormality.labels import LABELS
from components.recipes.ct_abnormality.phantom_balance import balanced
from components.recipes.ct_abnormality.phantom_body import Body
from components.recipes.ct_abnormality.phantom_canvas import Canvas
from components.recipes.ct_abnormality.phantom_findings import scatter
from components.recipes.ct_abnormality.phantom_lungs import aerate, airways, pleural_water

SCANS = (1, 1, 1, 2)
RECONSTRUCTIONS = (1, 1, 1, 2)
"""How many scans a patient, and how many reconstructions a scan may have."""

CAUSES = (
    ("Arterial wall calcification", "Coronary artery wall calcification", "Medical material", "Hiatal hernia"),
    ("Cardiomegaly", "Pericardial effusion", "Pleural effusion", "Interlobular septal thickening"),
    ("Lung opacity", "Consolidation", "Atelectasis", "Lymphadenopathy"),
    ("Emphysema", "Bronchiectasis", "Peribronchial thickening", "Mosaic attenuation pattern"),
)
"""Findings that tend to come together: age, heart failure, infection, airways."""

TOGETHER = 0.2
"""Correlation of the hidden normal variables of findings of one cause."""

CHANGES = 0.25
"""Chance that a label is drawn anew for a patient's next scan."""

LOWEST, HIGHEST = -1024, 3071


class Phantoms(Values):
    """The embedded synthetic data set.

    Attributes:
        volumes: Number of volumes: reconstructions of scans of patients.
        size: Side of the square slices, pixels.
        slices: Of a volume.
        prevalence: Of every label, about.
        strength: Of the findings: 1 is the usual size.
        form: `v1` stores values that the metadata table turns into Hounsfield units, as CT-RATE's first release does;
            `v2` stores Hounsfield units, as its second.
        seed: Seed of all of them.
    """

    volumes: int = Field(default=120, ge=8)
    size: int = Field(default=96, ge=32, le=512)
    slices: int = Field(default=48, ge=16, le=512)
    prevalence: float = Field(default=0.3, gt=0, lt=1)
    strength: float = Field(default=1.0, gt=0, le=2)
    form: Literal["v1", "v2"] = "v2"
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Shot:
    """One volume: whose, of which scan, and its how-manieth reconstruction, all counted from 1."""

    patient: int
    scan: int
    reconstruction: int

    @property
    def scan_name(self) -> str:
        """`1_a`: patient and scan, as CT-RATE numbers them."""
        return f"{self.patient}_{chr(ord('a') + self.scan - 1)}"


def shots(settings: Phantoms) -> Iterator[Shot]:
    """The volumes, in order."""
    left, patient = settings.volumes, 0
    while left:
        patient += 1
        random = generator(settings.seed, 0, patient)
        for scan in range(1, int(random.choice(SCANS)) + 1):
            several = min(left, int(random.choice(RECONSTRUCTIONS)))
            yield from (Shot(patient, scan, number) for number in range(1, several + 1))
            left -= several


def labels(settings: Phantoms, patient: int, scan: int) -> dict[str, bool]:
    """What a scan shows; the same in all its reconstructions."""
    limit = NormalDist().inv_cdf(settings.prevalence)
    shown: dict[str, bool] = {}
    for number in range(1, scan + 1):
        random = generator(settings.seed, 1, patient, number)
        own = dict(zip(LABELS, random.standard_normal(len(LABELS)), strict=True))
        for cause in CAUSES:
            shared = random.standard_normal()
            own |= {label: TOGETHER**0.5 * shared + (1 - TOGETHER) ** 0.5 * own[label] for label in cause}
        anew = random.random(len(LABELS)) < CHANGES
        shown |= {
            label: bool(own[label] < limit) for label, new in zip(LABELS, anew, strict=True) if new or number == 1
        }
    return shown


def draw(settings: Phantoms, shot: Shot) -> Int16[np.ndarray, "d h w"]:
    """Hounsfield units of one volume: slices from the feet to the head, rows from front to back, columns from right
    to left; a pure function of the settings (`form` and the number of volumes excepted) and the shot."""
    return draw_showing(
        settings, shot, {label for label, shown in labels(settings, shot.patient, shot.scan).items() if shown}
    )


def draw_showing(settings: Phantoms, shot: Shot, present: Collection[str]) -> Int16[np.ndarray, "d h w"]:
    """`draw` with chosen labels: everything that no label changes stays where it is."""
    build, texture, tubes = (generator(settings.seed, 2, shot.patient, shot.scan, use) for use in range(3))
    body = Body.grown(generator(settings.seed, 5, shot.patient))
    canvas = Canvas((settings.slices, settings.size, settings.size))
    strength = settings.strength
    chest = phantom_chest.paint(canvas, balanced(body, build, present, strength))
    aerate(chest, texture, present, strength)
    airways(chest, tubes, present, strength)
    phantom_chest.mediastinum(chest)
    phantom_chest.spine(chest)
    pleural_water(chest)
    scatter(chest, (settings.seed, 3, shot.patient, shot.scan), present, strength)
    return _reconstructed(canvas, generator(settings.seed, 4, shot.patient, shot.scan, shot.reconstruction))


def _reconstructed(canvas: Canvas, random: np.random.Generator) -> Int16[np.ndarray, "d h w"]:
    """As the scanner's kernel shows it: smooth, or sharp and noisy; its calibration is off by a little."""
    sharp = random.random() < 0.5
    noise = random.standard_normal(canvas.units.shape, dtype=np.float32)
    noise *= np.float32(random.uniform(26, 36) if sharp else random.uniform(12, 18))
    units = canvas.units + noise
    if not sharp:
        for plane in units:
            cv2.GaussianBlur(plane, (3, 3), 0.55, dst=plane)
    units += np.float32(random.uniform(-6, 6))
    return np.asarray(np.clip(np.rint(units), LOWEST, HIGHEST), np.int16)
