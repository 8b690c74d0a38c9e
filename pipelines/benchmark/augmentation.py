"""How quickly two views of a picture are made: by Thaw, and by lightly's transform with the same numbers.

Decoding is left out: both are given the same pictures in memory, in the form that each of them takes, and both end with
float tensors in [0, 1] of the same size.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from components.core.augment.simclr import ColourViews, GreyViews, Views
from components.core.errors import BadInput
from pipelines.benchmark.pace import CLOCKS, alternate
from pipelines.benchmark.ratio import Ratio, ratio

OURS, THEIRS = "thaw", "lightly"
PRESETS: dict[str, Views] = {"colour": ColourViews(), "grey": GreyViews()}

Picture = NDArray[np.uint8]
"""RGB [h, w, 3]."""

Make = Callable[[int], Any]
"""Makes both views of the picture with a number."""


@dataclass(frozen=True)
class Throughput:
    """How quickly both make views.

    Attributes:
        preset: `colour` or `grey`.
        size: Side of the views, pixels.
        threads: Pictures worked on at once.
        rates: Pictures per second, two views of each, by maker: median over the rounds.
        seconds: Of each round, by maker.
        faster: How many times as quick we are, round by round.
    """

    preset: str
    size: int
    threads: int
    pictures: int
    clock: str
    rates: dict[str, float]
    seconds: dict[str, list[float]]
    faster: Ratio


@dataclass
class _Lane:
    """One maker of views."""

    make: Make
    pictures: int
    threads: int
    clock: Callable[[], float]
    rounds: int = field(default=0)

    def epoch(self) -> float:
        numbers = range(self.rounds * self.pictures, (self.rounds + 1) * self.pictures)
        self.rounds += 1
        began = self.clock()
        if self.threads == 1:
            for number in numbers:
                self.make(number)
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                for _ in pool.map(self.make, numbers):
                    pass
        return self.clock() - began


def measure(
    pictures: Sequence[Picture], preset: str, size: int, threads: int, pairs: int, clock: str = "wall"
) -> Throughput:
    """Time both makers by turns on the same pictures.

    Args:
        pictures: Of any sizes.
        preset: One of `PRESETS`.
        size: Side of the views, pixels.
        threads: Pictures worked on at once.
        pairs: Timed rounds, after one that is not counted.
        clock: One of `pace.CLOCKS`; with several threads only the wall's says something.

    Raises:
        BadInput: lightly is not installed.
    """
    makers = {OURS: ours(pictures, PRESETS[preset], size), THEIRS: theirs(pictures, PRESETS[preset], size)}
    lanes = {name: _Lane(make, len(pictures), threads, CLOCKS[clock]) for name, make in makers.items()}
    with _one_thread_each():
        for lane in lanes.values():
            lane.epoch()
        seconds = alternate(lanes, pairs)
    return Throughput(
        preset=preset,
        size=size,
        threads=threads,
        pictures=len(pictures),
        clock=clock,
        rates={name: len(pictures) / median(times) for name, times in seconds.items()},
        seconds=seconds,
        faster=ratio(seconds[THEIRS], seconds[OURS]),
    )


def ours(pictures: Sequence[Picture], views: Views, size: int) -> Make:
    """Thaw's views of a picture as a tensor [2, 3, size, size]."""

    def make(number: int) -> torch.Tensor:
        picture = pictures[number % len(pictures)]
        both = np.stack([views.apply(picture, size, 0, (number, side)) for side in range(2)])
        return torch.from_numpy(both).permute(0, 3, 1, 2).to(torch.float32).div_(255)

    return make


def theirs(pictures: Sequence[Picture], views: Views, size: int) -> Make:
    """lightly's views of a picture, drawn from the same ranges, as two tensors [3, size, size].

    Raises:
        BadInput: lightly is not installed.
    """
    if find_spec("lightly") is None:
        raise BadInput(
            "lightly, which this benchmark compares with, is not installed",
            where="thaw benchmark augment",
            remedy="install the extra `dev`",
        )
    transform = import_module("lightly.transforms").SimCLRTransform(input_size=size, normalize=None, **_numbers(views))
    opened = [Image.fromarray(picture) for picture in pictures]
    return lambda number: transform(opened[number % len(opened)])


def _numbers(views: Views) -> dict[str, Any]:
    """The same numbers by lightly's names; what a grey preset lacks is switched off."""
    values = views.model_dump()
    return {
        "cj_prob": views.jitter,
        "cj_bright": views.brightness,
        "cj_contrast": views.contrast,
        "cj_sat": values.get("saturation", 0.0),
        "cj_hue": values.get("hue", 0.0),
        "random_gray_scale": values.get("grey", 0.0),
        "min_scale": views.crop,
        "hf_prob": views.flip_horizontal,
        "vf_prob": views.flip_vertical,
        "gaussian_blur": views.blur,
        "sigmas": views.sigma,
    }


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Neither OpenCV nor torch divides one picture's work among threads: how many there are is what is measured."""
    before = cv2.getNumThreads(), torch.get_num_threads()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before[0])
        torch.set_num_threads(before[1])


def grey(pictures: Sequence[Picture]) -> list[Picture]:
    """The pictures' luminance, in three equal channels as readers give it."""
    return [
        np.repeat(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2).astype(np.uint8) for one in pictures
    ]
