"""A bundle's answer to one picture, by onnxruntime and NumPy. No torch."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from pydantic import Field

from components.core.augment.joint import resize_image
from components.core.config import Values, validate
from components.core.data.images import read_image
from components.core.errors import BadInput
from components.core.export.bundle import METADATA, Bundle
from components.core.export.ensemble import Vote
from components.core.export.graph import Graph
from components.core.export.pixels import unit
from components.core.export.prediction import Prediction
from components.core.tta import Picture, Tta
from components.recipes.hvit.pictures import answer

IMAGE = "image"
"""Array of a prepared case."""

GRAPH = "classifier"
"""The graph, and its file without suffix."""

Run: TypeAlias = Callable[..., NDArray[np.float32]]
"""A graph: arrays by input name to its output."""


class Inference(Values):
    """What a predictor must know besides its graph.

    Attributes:
        image_size: Side s of the graph's square pictures, pixels.
        classes: Their names, by number.
        tta: Views that are averaged.
    """

    image_size: int
    classes: tuple[str, ...] = Field(min_length=2)
    tta: Tta = Tta()

    def vote(self, predict: Callable[[Picture], NDArray[np.float32]], image: UInt8[np.ndarray, "h w 3"]) -> Vote:
        """Probability of every class, averaged over the views, and its variance over them.

        Args:
            predict: A square picture [s, s, 3] of 0 to 255 to probabilities [k].
            image: RGB, any size.
        """
        return Vote.over(self.tta.answers(predict, resize_image(image, self.image_size)))


class HVitPredictor:
    """Answers one picture at a time.

    Args:
        settings: How the graph is used.
        graph: `image` [1, 3, s, s] in [0, 1] to probabilities [1, k].
    """

    array = IMAGE

    def __init__(self, settings: Inference, graph: Run) -> None:
        self.settings = settings
        self._graph = graph

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, by number."""
        return self.settings.classes

    @classmethod
    def open(cls, bundle: Bundle) -> "HVitPredictor":
        """Load a bundle's graph.

        Raises:
            BadInput: The bundle is of another recipe, or onnxruntime is missing.
        """
        settings = validate(Inference, dict(bundle.metadata.get("inference", {})), str(bundle.folder / METADATA))
        return cls(settings, Graph(bundle.folder / f"{GRAPH}.onnx"))

    def read(self, path: Path) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of a file, RGB."""
        return read_image(path)

    def predict(self, image: NDArray[np.uint8], prompt: str) -> Prediction:
        """The likeliest class and the probability of each.

        Args:
            image: RGB, [h, w, 3].
            prompt: Must be empty.

        Returns:
            As `tell`.

        Raises:
            BadInput: Something is asked: a classifier always answers the same question.
        """
        if prompt:
            raise BadInput("a classifier is not asked by text", where=f"prompt {prompt!r}", remedy="leave out --prompt")
        return self.tell(image, self.vote(image))

    def vote(self, image: NDArray[np.uint8]) -> Vote:
        """Probability of every class; variance over the views that are averaged."""
        return self.settings.vote(lambda square: self._graph(image=unit(square))[0], image)

    def tell(self, image: NDArray[np.uint8], vote: Vote) -> Prediction:
        """A vote on a picture for a reader.

        Returns:
            Values `class`, `probability` by class, likeliest first, and `variance` by class where several answers were
            averaged; picture `answer`.
        """
        names, probability = self.names, vote.probability
        order = np.argsort(-probability, kind="stable").tolist()
        values: dict[str, Any] = {"class": names[order[0]], "probability": _by_name(names, probability, order)}
        if vote.variance is not None:
            values["variance"] = _by_name(names, vote.variance, order)
        return Prediction({"answer": answer(image, probability, names)}, values, main="values")


def _by_name(names: Sequence[str], values: Float[np.ndarray, " k"], order: Sequence[int]) -> dict[str, float]:
    return {names[number]: round(float(values[number]), 6) for number in order}
