"""Synthetic ultrasound-like pictures in which the text matters: every one holds two kinds of lesion.

Mask value 1 is a smooth, dark ellipse; value 2 a bright, spiculated mass. Tissue layers of both dark and bright
levels, depth attenuation and speckle keep any single threshold from finding either. Pictures of one made-up
patient share their tissue, so that splits must be grouped.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from pydantic import Field, model_validator

from components.core.augment.randomness import generator
from components.core.config import Values
from components.core.data.describe import SYNTHETIC

DARK_ELLIPSE, SPICULATED_MASS = 1, 2
TISSUES = ("fatty", "dense")
PER_PATIENT = 2

NOTICE = f"""{SYNTHETIC} pictures drawn by a program. They show no patient and serve no diagnosis.
Mask values: 1 smooth dark ellipse, 2 bright spiculated mass. Licence: that of the program that drew them.
"""


class Synthetic(Values):
    """The embedded synthetic data set.

    Attributes:
        images: Number of pictures; two share a made-up patient.
        smallest: Shortest side, pixels.
        largest: Longest side, pixels.
        seed: Seed of all of them.
    """

    images: int = Field(default=120, ge=6)
    smallest: int = Field(default=96, ge=48)
    largest: int = Field(default=128, le=1024)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _sides_in_order(self) -> "Synthetic":
        if self.smallest > self.largest:
            raise ValueError(f"smallest = {self.smallest} is above largest = {self.largest}")
        return self


def write(settings: Synthetic, folder: Path) -> None:
    """Write `images/`, `masks/`, `index.csv` and SOURCE.txt, in the layout `csv`."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "SOURCE.txt").write_text(NOTICE, encoding="utf-8")
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "image", "mask", "group", "stratum"])
        for index in range(settings.images):
            image, mask = draw(settings, index)
            name = f"synthetic-{index:04d}"
            Image.fromarray(image).save(folder / "images" / f"{name}.png")
            Image.fromarray(mask).save(folder / "masks" / f"{name}.png")
            patient = index // PER_PATIENT
            table.writerow(
                [name, f"images/{name}.png", f"masks/{name}.png", f"patient-{patient:04d}", _tissue(patient)]
            )


def _tissue(patient: int) -> str:
    return TISSUES[patient % len(TISSUES)]


def draw(settings: Synthetic, index: int) -> tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]:
    """One grey picture and its mask: a pure function of the settings' sizes and seed, and the index."""
    patient = index // PER_PATIENT
    tissue = generator(settings.seed, 0, patient)
    random = generator(settings.seed, 1, index)
    height, width = (int(side) for side in random.integers(settings.smallest, settings.largest + 1, 2))
    ellipse, mass = _shapes(random, height, width)
    echo = _background(tissue, random, height, width, dense=_tissue(patient) == "dense")
    echo = _with_ellipse(echo, ellipse, random)
    echo = _with_mass(echo, mass, random)
    mask = np.zeros((height, width), np.uint8)
    mask[ellipse], mask[mass] = DARK_ELLIPSE, SPICULATED_MASS
    return _scan(echo, tissue, random), mask


def _background(
    tissue: np.random.Generator, random: np.random.Generator, height: int, width: int, *, dense: bool
) -> Float[np.ndarray, "h w"]:
    """Echo strength of curved layers: skin, fat, gland, muscle; dark and bright ones by turns."""
    levels = tissue.uniform([0.75, 0.11, 0.44, 0.14, 0.55], [0.95, 0.22, 0.62, 0.28, 0.75])
    if dense:
        levels[[1, 3]] = tissue.uniform(0.20, 0.32, 2)
    edges = np.cumsum(tissue.uniform([0.05, 0.15, 0.25, 0.15], [0.09, 0.26, 0.36, 0.28]))
    across = np.linspace(0, 2 * np.pi, width)
    depth = np.linspace(0, 1, height)[:, None]
    echo = np.full((height, width), levels[0])
    for edge, level in zip(edges, levels[1:], strict=True):
        waves = tissue.uniform(0.01, 0.05) * np.sin(across * tissue.uniform(0.5, 2) + random.uniform(0, 6.3))
        blend = 1 / (1 + np.exp(-(depth - edge - waves[None]) * height / 2))
        echo = echo + blend * (level - echo)
    return echo * (1 + 0.6 * _texture(random, height, width, height / 12))


def _texture(random: np.random.Generator, height: int, width: int, grain: float) -> Float[np.ndarray, "h w"]:
    """Smooth noise of unit range, blobs of about `grain` pixels."""
    noise = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), grain)
    smooth: Float[np.ndarray, "h w"] = np.clip(noise / (2 * noise.std()), -1, 1)
    return smooth


def _shapes(
    random: np.random.Generator, height: int, width: int
) -> tuple[Bool[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """An ellipse and a spiculated mass that do not touch: side by side, on a random side each."""
    left_first = random.random() < 0.5
    columns = (0.27, 0.73) if left_first else (0.73, 0.27)
    return (
        _outline(random, height, width, columns[0], spikes=0.0),
        _outline(random, height, width, columns[1], spikes=random.uniform(0.25, 0.4)),
    )


def _outline(
    random: np.random.Generator, height: int, width: int, column: float, *, spikes: float
) -> Bool[np.ndarray, "h w"]:
    """Inside of a star-shaped outline: an ellipse, with spikes of that relative length."""
    shorter = min(height, width)
    x = (column + random.uniform(-0.04, 0.04)) * width
    y = random.uniform(0.3, 0.72) * height
    radius = random.uniform(0.13, 0.19) * shorter
    flat = random.uniform(0.65, 0.95)
    tilt = random.uniform(-0.5, 0.5)
    rows, columns = np.mgrid[:height, :width]
    along = (columns - x) * np.cos(tilt) + (rows - y) * np.sin(tilt)
    aside = ((rows - y) * np.cos(tilt) - (columns - x) * np.sin(tilt)) / flat
    angle = np.arctan2(aside, along)
    phases = random.uniform(0, 2 * np.pi, 2)
    star = np.abs(np.sin(angle * 3.5 + phases[0])) ** 3 + 0.5 * np.abs(np.sin(angle * 6.5 + phases[1])) ** 3
    inside: Bool[np.ndarray, "h w"] = np.hypot(along, aside) < radius * (1 - spikes / 2 + spikes * star)
    return inside


def _with_ellipse(
    echo: Float[np.ndarray, "h w"], shape: Bool[np.ndarray, "h w"], random: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Nearly no echo inside, and more of it below (posterior enhancement)."""
    below = cv2.GaussianBlur(np.maximum.accumulate(shape, axis=0).astype(np.float64), (0, 0), 1.5)
    soft = cv2.GaussianBlur(shape.astype(np.float64), (0, 0), 0.7)
    enhanced: Float[np.ndarray, "h w"] = echo * (1 + random.uniform(0.15, 0.35) * below)
    level = random.uniform(0.05, 0.11)
    return enhanced + soft * (level - enhanced)


def _with_mass(
    echo: Float[np.ndarray, "h w"], shape: Bool[np.ndarray, "h w"], random: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Strong, uneven echo inside, and a shadow below."""
    below = cv2.GaussianBlur(np.maximum.accumulate(shape, axis=0).astype(np.float64), (0, 0), 1.5)
    soft = cv2.GaussianBlur(shape.astype(np.float64), (0, 0), 0.7)
    shadowed: Float[np.ndarray, "h w"] = echo * (1 - random.uniform(0.3, 0.5) * below)
    height, width = echo.shape
    level: Float[np.ndarray, "h w"] = random.uniform(0.8, 1.05) * (1 + 0.25 * _texture(random, height, width, 2.0))
    seen: Float[np.ndarray, "h w"] = shadowed + soft * (level - shadowed)
    return seen


def _scan(
    echo: Float[np.ndarray, "h w"], tissue: np.random.Generator, random: np.random.Generator
) -> UInt8[np.ndarray, "h w"]:
    """What the machine shows: attenuation with depth, speckle (Rayleigh, blurred by the beam), compression."""
    height, width = echo.shape
    attenuation = np.exp(-tissue.uniform(0.3, 0.8) * np.linspace(0, 1, height))[:, None]
    real, imaginary = (cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), 0.9, sigmaY=0.6) for _ in "ri")
    speckle = np.hypot(real, imaginary)
    speckle /= speckle.mean()
    seen = echo * attenuation * (0.4 + 0.6 * speckle)
    shown: UInt8[np.ndarray, "h w"] = np.clip(np.rint(215 * np.clip(seen, 0, None) ** 0.7), 0, 255).astype(np.uint8)
    return shown
