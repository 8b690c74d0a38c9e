"""Test-time augmentation: views of a picture, each with the inverse that brings a map of the view back. No torch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from components.core.config import Values

Picture: TypeAlias = NDArray[Any]
"""An array whose first two dimensions are height and width: [h, w] or [h, w, c]."""

Map: TypeAlias = NDArray[np.float32]

Name: TypeAlias = Literal[
    "identity", "flip_horizontal", "flip_vertical", "rotate_90", "rotate_180", "rotate_270", "transpose"
]


@dataclass(frozen=True)
class View:
    """One symmetry of the square.

    Attributes:
        apply: Picture to its view.
        invert: A map of the view, of any size, back to the picture's orientation.
    """

    apply: Callable[[Picture], Picture]
    invert: Callable[[Picture], Picture]


VIEWS: dict[str, View] = {
    "identity": View(lambda x: x, lambda x: x),
    "flip_horizontal": View(lambda x: x[:, ::-1], lambda x: x[:, ::-1]),
    "flip_vertical": View(lambda x: x[::-1], lambda x: x[::-1]),
    "rotate_90": View(lambda x: np.rot90(x, 1), lambda x: np.rot90(x, -1)),
    "rotate_180": View(lambda x: np.rot90(x, 2), lambda x: np.rot90(x, -2)),
    "rotate_270": View(lambda x: np.rot90(x, 3), lambda x: np.rot90(x, -3)),
    "transpose": View(lambda x: x.swapaxes(0, 1), lambda x: x.swapaxes(0, 1)),
}
"""Every view a policy may name; rotations are counter-clockwise."""


class Tta(Values):
    """Which views of a picture are predicted and averaged.

    Attributes:
        views: Names of views. The identity alone is the model as it was evaluated; more cost one prediction each.
    """

    views: tuple[Name, ...] = Field(default=("identity",), min_length=1)

    @field_validator("views")
    @classmethod
    def _views_differ(cls, views: tuple[Name, ...]) -> tuple[Name, ...]:
        if len(set(views)) < len(views):
            raise ValueError(f"a view is named twice in {list(views)}")
        return views

    def average(self, predict: Callable[..., Map], *pictures: Picture) -> Map:
        """Mean over the views of what is predicted of each, brought back.

        Args:
            predict: Takes the same view of every picture, contiguous, and returns a probability map of it.
            pictures: The same picture at the sizes that `predict` needs; square where a view turns it.

        Returns:
            Probability in the pictures' own orientation, float32.
        """
        maps = []
        for view in (VIEWS[name] for name in self.views):
            shown = [np.ascontiguousarray(view.apply(picture)) for picture in pictures]
            maps.append(np.asarray(view.invert(predict(*shown)), dtype=np.float32))
        return np.asarray(np.mean(maps, axis=0), dtype=np.float32)
