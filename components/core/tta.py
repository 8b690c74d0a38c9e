"""Test-time augmentation: views of a picture, each with the inverse that brings a map of the view back. No torch."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Any, TypeAlias

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from pydantic import AfterValidator, Field, field_validator

from components.core.config import Values

Picture: TypeAlias = NDArray[Any]
"""An array whose first two dimensions are height and width: [h, w] or [h, w, c]."""

Answer: TypeAlias = NDArray[np.float32]
"""What is predicted of a view: a map [h, w], or numbers about the whole picture [k]."""

Map: TypeAlias = Answer
"""An answer [h, w]."""

SCALE = re.compile(r"scale_(\d+(?:\.\d+)?)")
SCALES = (0.5, 2.0)
"""Least and greatest factor of a scale view."""


@dataclass(frozen=True)
class View:
    """A picture changed so that a map of it can be brought back.

    Attributes:
        apply: Picture to its view, of the same type; scale views are float32, not rounded.
        invert: A map of the view, of any size, back to the picture's orientation and scale; NaN where the view does
            not show the picture.
        whole: Whether the view shows all of the picture.
    """

    apply: Callable[[Picture], Picture]
    invert: Callable[[Picture], Picture]
    whole: bool = True


VIEWS: dict[str, View] = {
    "identity": View(lambda x: x, lambda x: x),
    "flip_horizontal": View(lambda x: x[:, ::-1], lambda x: x[:, ::-1]),
    "flip_vertical": View(lambda x: x[::-1], lambda x: x[::-1]),
    "rotate_90": View(lambda x: np.rot90(x, 1), lambda x: np.rot90(x, -1)),
    "rotate_180": View(lambda x: np.rot90(x, 2), lambda x: np.rot90(x, -2)),
    "rotate_270": View(lambda x: np.rot90(x, 3), lambda x: np.rot90(x, -3)),
    "transpose": View(lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(0, 1)),
}
"""The symmetries of the square; rotations are counter-clockwise. Beside them stand the scales: see `view`."""


def view(name: str) -> View:
    """The view of a name: one of `VIEWS`, or `scale_<factor>`.

    A scale view is zoomed about the centre, bilinearly: `scale_1.1` shows the middle of the picture larger,
    `scale_0.9` all of it smaller, its outermost pixels repeated around.

    Raises:
        ValueError: There is none of that name.
    """
    if name in VIEWS:
        return VIEWS[name]
    match = SCALE.fullmatch(name)
    factor = float(match[1]) if match else 1.0
    if factor == 1 or not SCALES[0] <= factor <= SCALES[1]:
        low, high = SCALES
        raise ValueError(f"no view {name!r}; there are {', '.join(VIEWS)} and scale_FACTOR ({low} to {high}, not 1)")
    return View(partial(_zoomed, factor=factor), partial(_unzoomed, factor=1 / factor), whole=factor < 1)


def _known(name: str) -> str:
    view(name)
    return name


Name: TypeAlias = Annotated[str, AfterValidator(_known)]


class Tta(Values):
    """Which views of a picture are predicted and averaged.

    Attributes:
        views: Names of views, see `view`. The identity alone is the plain model; more cost one prediction each.
    """

    views: tuple[Name, ...] = Field(default=("identity",), min_length=1)

    @field_validator("views")
    @classmethod
    def _views_differ(cls, views: tuple[Name, ...]) -> tuple[Name, ...]:
        if len(set(views)) < len(views):
            raise ValueError(f"a view is named twice in {list(views)}")
        if not any(view(name).whole for name in views):
            raise ValueError(f"none of {list(views)} shows all of a picture; add identity")
        return views

    @property
    def plain(self) -> bool:
        """Whether this is the model as it is, without augmentation."""
        return self.views == ("identity",)

    def average(self, predict: Callable[..., Answer], *pictures: Picture) -> Answer:
        """Mean over the views of what is predicted of each, see `answers`.

        Returns:
            Probability in the pictures' own orientation, float32.
        """
        return merge(self.answers(predict, *pictures))

    def answers(self, predict: Callable[..., Answer], *pictures: Picture) -> list[Answer]:
        """What is predicted of each view; maps are brought back.

        Args:
            predict: Takes the same view of every picture, contiguous (float32 where a scale view is named), and
                returns a probability map of it [h, w], or probabilities of the whole picture [k].
            pictures: The same picture at the sizes that `predict` needs; square where a view turns it.

        Returns:
            One answer per view, in the pictures' own orientation, float32.
        """
        answers: list[Answer] = []
        for one in (view(name) for name in self.views):
            shown = [np.ascontiguousarray(one.apply(picture)) for picture in pictures]
            answer = np.asarray(predict(*shown), dtype=np.float32)
            answers.append(one.invert(answer) if answer.ndim > 1 else answer)
        return answers


def augmented(system: str) -> str:
    """Name among results of a system whose answers were averaged over views."""
    return f"{system} (tta)"


def merge(answers: Sequence[Picture]) -> Answer:
    """Mean of the views' answers, already brought back; what a view does not show (NaN) is left out of it."""
    stacked = np.stack([np.asarray(answer, dtype=np.float32) for answer in answers])
    known = ~np.isnan(stacked)
    return np.asarray(np.where(known, stacked, 0).sum(axis=0) / known.sum(axis=0), dtype=np.float32)


def _zoomed(picture: Picture, factor: float) -> Picture:
    """The picture enlarged about its centre, of the same size, float32; what is missing repeats the border."""
    shown = np.asarray(picture, dtype=np.float32)
    rows, columns = _sampling(shown.shape[0], factor)[0], _sampling(shown.shape[1], factor)[0]
    shown = np.tensordot(rows, shown, axes=(1, 0))
    return np.tensordot(columns, shown, axes=(1, 1)).swapaxes(0, 1)


def _unzoomed(picture: Picture, factor: float) -> Picture:
    """As `_zoomed`, with NaN for what is missing."""
    shown = _zoomed(picture, factor)
    shown[~_sampling(shown.shape[0], factor)[1]] = np.nan
    shown[:, ~_sampling(shown.shape[1], factor)[1]] = np.nan
    return shown


@cache
def _sampling(size: int, factor: float) -> tuple[Float[np.ndarray, "n n"], Bool[np.ndarray, " n"]]:
    """Bilinear weights of the old pixels (columns) in each new one (rows), and which new ones lie in the picture.

    Pixels are squares: the centre of pixel i is at i + 1/2, the picture's at size / 2.
    """
    place = (np.arange(size) + 0.5 - size / 2) / factor + size / 2 - 0.5
    inside = (place >= -0.5 - 1e-9) & (place <= size - 0.5 + 1e-9)
    place = np.clip(place, 0, size - 1)
    lower = np.minimum(np.floor(place).astype(int), max(size - 2, 0))
    share = place - lower
    weights = np.zeros((size, size))
    np.add.at(weights, (np.arange(size), lower), 1 - share)
    np.add.at(weights, (np.arange(size), np.minimum(lower + 1, size - 1)), share)
    return weights.astype(np.float32), inside
