"""A bundle's answer to one picture and one prompt, by onnxruntime and NumPy. No torch."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from numpy.typing import NDArray

from components.core.augment.joint import resize_image
from components.core.config import Values, validate
from components.core.data.images import read_image
from components.core.export.bundle import METADATA, Bundle
from components.core.export.graph import Graph
from components.core.export.pixels import unit
from components.core.export.prediction import Prediction
from components.core.tta import Picture, Tta
from components.recipes.freqmedclip.known_prompts import KnownPrompts
from components.recipes.freqmedclip.maps import NOTHING, SALIENCY, THRESHOLD, stretch
from components.recipes.freqmedclip.model_config import ModelConfig, Prompting
from components.recipes.freqmedclip.prompts import propose

SAM_ENCODER, SAM_DECODER = "sam_encoder", "sam_decoder"
"""The graphs besides that of the saliency, and their files without suffix."""

Run: TypeAlias = Callable[..., NDArray[np.float32]]
"""A graph: arrays by input name to its output."""


class Inference(Values):
    """What a predictor must know besides its graphs.

    Attributes:
        image_size: Side s of the saliency graph's square pictures, pixels.
        sam_size: Side t of SAM's square pictures, pixels.
        mask: Which map is the answer, as validation chose.
        threshold: Probability from which a pixel belongs to the mask.
        prompting: How a saliency map prompts SAM.
        tta: Views that are averaged.
    """

    image_size: int
    sam_size: int
    mask: Literal["saliency", "sam", "mean"]
    threshold: float = THRESHOLD
    prompting: Prompting
    tta: Tta = Tta()

    @property
    def graphs(self) -> tuple[str, ...]:
        """Graphs that the answer needs."""
        return (SALIENCY,) if self.mask == SALIENCY else (SALIENCY, SAM_ENCODER, SAM_DECODER)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides of the square pictures that the answer needs."""
        return (self.image_size,) if self.mask == SALIENCY else (self.image_size, self.sam_size)

    def probability(
        self, predict: Callable[..., NDArray[np.float32]], image: UInt8[np.ndarray, "h w 3"]
    ) -> Float[np.ndarray, "h w"]:
        """The answer's probability at the picture's own size.

        Args:
            predict: Square pictures of `sizes` to a probability map [s, s].
            image: RGB.
        """
        height, width = image.shape[:2]
        squares = [resize_image(image, size) for size in self.sizes]
        return stretch(self.tta.average(predict, *squares), height, width)


class FreqMedClipPredictor:
    """Answers one picture at a time.

    Args:
        settings: How the graphs are used.
        prompts: Prompts and their embeddings.
        graphs: Those of `settings.graphs`, by name.
    """

    def __init__(self, settings: Inference, prompts: KnownPrompts, graphs: Mapping[str, Run]) -> None:
        self.settings = settings
        self.prompts = prompts
        self._graphs = graphs

    @classmethod
    def open(cls, bundle: Bundle, config: ModelConfig) -> "FreqMedClipPredictor":
        """Load a bundle's graphs.

        Raises:
            BadInput: The bundle is of another recipe, or onnxruntime is missing.
        """
        where = str(bundle.folder / METADATA)
        settings = validate(Inference, dict(bundle.metadata.get("inference", {})), where)
        graphs = {name: Graph(bundle.folder / f"{name}.onnx") for name in settings.graphs}
        return cls(settings, KnownPrompts.open(bundle, config), graphs)

    def read(self, path: Path) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of a file, RGB."""
        return read_image(path)

    def predict(self, image: NDArray[np.uint8], prompt: str) -> Prediction:
        """Mask and probability at the picture's own size.

        Args:
            image: RGB, [h, w, 3].
            prompt: What to segment; empty takes the bundle's only prompt.

        Returns:
            Pictures `mask` (0 or 255) and `probability` (0 to 255).

        Raises:
            BadInput: No prompt where the bundle has several, or a new one where torch is missing.
        """
        asked = self.prompts.resolve(prompt)
        probability = self.probability(image, self.prompts.embed(asked))
        mask = probability >= self.settings.threshold
        values: dict[str, Any] = {
            "prompt": asked,
            "mask": self.settings.mask,
            "mask_pixels": int(mask.sum()),
            "mask_fraction": round(float(mask.mean()), 6),
            "greatest_probability": round(float(probability.max()), 6),
        }
        shown = np.rint(probability * 255).astype(np.uint8)
        return Prediction({"mask": mask.astype(np.uint8) * 255, "probability": shown}, values)

    def probability(self, image: UInt8[np.ndarray, "h w 3"], text: Float[np.ndarray, "j"]) -> Float[np.ndarray, "h w"]:
        """Probability of the answer, float32.

        Args:
            image: RGB.
            text: The prompt in the joint space, unit length.
        """
        return self.settings.probability(lambda *squares: self._square(text, *squares), image)

    def _square(self, text: Float[np.ndarray, "j"], *squares: Picture) -> Float[np.ndarray, "s s"]:
        size, chosen = self.settings.image_size, self.settings.mask
        refined = self._graphs[SALIENCY](image=unit(squares[0]), text=text[None])[0, 0]
        saliency = sigmoid(stretch(refined, size, size))
        if chosen == SALIENCY:
            return saliency
        sam = sigmoid(stretch(self._sam(refined, squares[1]), size, size))
        return sam if chosen == "sam" else (saliency + sam) / 2

    def _sam(self, refined: Float[np.ndarray, "r r"], square: Shaped[np.ndarray, "t t 3"]) -> Float[np.ndarray, "m m"]:
        """SAM's merged mask logits for the prompts of a saliency map; one pixel of nothing where nothing is salient."""
        proposal = propose(sigmoid(refined), self.settings.prompting, self.settings.sam_size)
        if proposal.empty:
            return np.full((1, 1), NOTHING, dtype=np.float32)
        embedding = self._graphs[SAM_ENCODER](image=unit(square))
        geometry = {"boxes": proposal.boxes[None], "points": proposal.points[None]}
        shown = {name: geometry[name] for name in shown_geometry(self.settings.prompting)}
        logits = self._graphs[SAM_DECODER](embedding=embedding, saliency=refined[None, None], **shown)
        return np.asarray(logits[0, 0])


def shown_geometry(prompting: Prompting) -> tuple[str, ...]:
    """Sparse prompts that the decoder takes, in the order of its inputs."""
    return ("boxes", "points") if prompting.geometry == "both" else (prompting.geometry,)


def sigmoid(logits: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Logits to probability, without overflow."""
    return np.asarray(np.exp(-np.logaddexp(np.float32(0), -logits)), dtype=np.float32)
