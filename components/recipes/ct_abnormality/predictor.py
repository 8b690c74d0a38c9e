"""A bundle's answer to one volume, by onnxruntime and NumPy. No torch."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from pydantic import Field

from components.core.augment.volume import resize_slices
from components.core.config import Values, validate
from components.core.errors import BadInput
from components.core.export.bundle import METADATA, Bundle
from components.core.export.ensemble import Vote
from components.core.export.graph import Graph
from components.core.export.prediction import Prediction
from components.core.metrics.operating_point import OPERATING_POINT, apply_shifts
from components.core.report.bars import likeliest
from components.core.tta import Picture, Tta
from components.core.volumes.extraction import Extraction
from components.core.volumes.limits import VolumeLimits
from components.recipes.ct_abnormality.loading import SLICES, load_volume
from components.recipes.ct_abnormality.pictures import answer
from components.recipes.ct_abnormality.slices import as_rgb, places

GRAPH = "classifier"
"""The graph, and its file without suffix."""

Run: TypeAlias = Callable[..., NDArray[np.float32]]
"""A graph: arrays by input name to its output."""

VOLUME = 4
"""Dimensions of a volume's slices: [m, h, w, c]."""


class Inference(Values):
    """What a predictor must know besides its graph.

    Attributes:
        image_size: Side s of the graph's square slices, pixels.
        slices: Number n of slices that the graph takes.
        labels: Their names, by number.
        shifts: Of each label's logit: they put its operating point at one half.
        extraction: How slices are cut of a volume.
        limits: Bounds on one volume.
        tta: Views that are averaged.
    """

    image_size: int
    slices: int
    labels: tuple[str, ...] = Field(min_length=1)
    shifts: tuple[float, ...]
    extraction: Extraction = Extraction()
    limits: VolumeLimits = VolumeLimits()
    tta: Tta = Tta()

    def vote(self, predict: Callable[[Picture], NDArray[np.float32]], slices: UInt8[np.ndarray, "m h w c"]) -> Vote:
        """Probability of every label, averaged over the views, its operating point at one half; and its variance over
        the views, before the operating point moved it.

        Args:
            predict: Square slices [s, s, n, 3] of 0 to 255 to probabilities [l] as the model gives them.
            slices: As they were cut, from feet to head.
        """
        chosen = as_rgb(slices[places(len(slices), self.slices)], "the volume")
        square = resize_slices(chosen, self.image_size).transpose(1, 2, 0, 3)
        vote, shifts = Vote.over(self.tta.answers(predict, square)), np.asarray(self.shifts)
        return replace(vote, probability=np.asarray(apply_shifts(vote.probability, shifts))) if shifts.any() else vote


class CtPredictor:
    """Answers one volume at a time.

    Args:
        settings: How the graph is used.
        graph: `image` [1, n, 3, s, s] in [0, 1] to probabilities [1, l].
    """

    array = SLICES

    def __init__(self, settings: Inference, graph: Run) -> None:
        self.settings = settings
        self._graph = graph

    @property
    def names(self) -> tuple[str, ...]:
        """The labels, by number."""
        return self.settings.labels

    @classmethod
    def open(cls, bundle: Bundle) -> "CtPredictor":
        """Load a bundle's graph.

        Raises:
            BadInput: The bundle is of another recipe, or onnxruntime is missing.
        """
        settings = validate(Inference, dict(bundle.metadata.get("inference", {})), str(bundle.folder / METADATA))
        return cls(settings, Graph(bundle.folder / f"{GRAPH}.onnx"))

    def read(self, path: Path) -> UInt8[np.ndarray, "m s s c"]:
        """Slices of a volume: `.nii`, `.nii.gz`, `.mha`, `.mhd` or a folder of DICOM files.

        Raises:
            Unreadable: It is damaged, its Hounsfield units are in doubt, or it is no CT.
        """
        loaded = load_volume(path, self.settings.extraction, self.settings.limits, None)
        return np.asarray(loaded.arrays[SLICES])

    def predict(self, image: NDArray[np.uint8], prompt: str) -> Prediction:
        """Probability of every label.

        Args:
            image: Slices of a volume from feet to head, [m, s, s, c], as `read` cuts them.
            prompt: Must be empty.

        Returns:
            As `tell`.

        Raises:
            BadInput: Something is asked, or it is no volume.
        """
        if prompt:
            raise BadInput("a classifier is not asked by text", where=f"prompt {prompt!r}", remedy="leave out --prompt")
        return self.tell(image, self.vote(image))

    def vote(self, image: NDArray[np.uint8]) -> Vote:
        """Probability of every label, its operating point at one half; variance over the views that are averaged.

        Raises:
            BadInput: It is no volume.
        """
        if image.ndim != VOLUME:
            raise BadInput("this bundle answers for volumes", where=f"array {image.shape}", remedy="give a volume")
        return self.settings.vote(lambda square: self._graph(image=as_input(square))[0], image)

    def tell(self, image: NDArray[np.uint8], vote: Vote) -> Prediction:
        """A vote on a volume's slices for a reader.

        Returns:
            Values `probability` by label, in the labels' order, `present`, those that are called, likeliest first, and
            `variance` by label where several answers were averaged; picture `answer`.
        """
        names, probability = self.names, vote.probability
        values: dict[str, Any] = {
            "probability": _by_name(names, probability),
            "present": [names[i] for i in likeliest(probability, len(names)) if probability[i] >= OPERATING_POINT],
            **({} if vote.variance is None else {"variance": _by_name(names, vote.variance)}),
        }
        return Prediction({"answer": answer(image, probability, names)}, values, main="values")


def _by_name(names: Sequence[str], values: Float[np.ndarray, " l"]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in zip(names, values, strict=True)}


def as_input(square: Picture) -> Float[np.ndarray, "1 n 3 s s"]:
    """Slices [s, s, n, 3] of 0 to 255 (float32 in scale views) as the graph takes them: 0 to 1, a batch of one."""
    shown = np.ascontiguousarray(square.transpose(2, 3, 0, 1)[None], dtype=np.float32)
    return np.asarray(shown / np.float32(255))
