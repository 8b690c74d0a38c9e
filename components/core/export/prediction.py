"""What a bundle's predictor gives, whatever the recipe. No torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The answer to one picture.

    Attributes:
        pictures: uint8 pictures by name, [h, w] or [h, w, 3]; where they are the answer, at the picture's native
            size, and the first is it.
        values: Plain values to print.
        main: Which of the two is the answer.
    """

    pictures: Mapping[str, NDArray[np.uint8]]
    values: Mapping[str, Any] = field(default_factory=dict)
    main: Literal["pictures", "values"] = "pictures"


class Predictor(Protocol):
    """A bundle, ready to answer."""

    def read(self, path: Path) -> NDArray[np.uint8]:
        """What `predict` takes, of a file: a picture [h, w, 3], or the slices of a volume [n, h, w, c].

        Raises:
            BadInput: It cannot be read.
        """

    def predict(self, image: NDArray[np.uint8], prompt: str) -> Prediction:
        """Answer for one picture, or for one volume.

        Args:
            image: RGB, [h, w, 3], any size; or slices, as `read` cuts them.
            prompt: What is asked; empty takes the bundle's only prompt, or none where the recipe needs none.

        Raises:
            BadInput: The prompt is missing or cannot be understood.
        """
