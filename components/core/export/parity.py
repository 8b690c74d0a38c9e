"""Do the exported graphs say what the trained model says?"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import BadInput, ThawError
from components.core.export.policy import Parity


class ParityError(ThawError):
    """An exported graph differs from the model it was made of."""


@dataclass
class ParityCheck:
    """Collects comparisons, and refuses a graph that differs.

    Attributes:
        limits: What is allowed.
        outputs: Greatest difference so far by graph, relative to max(1, |expected|).
        images: Pictures whose final answers were compared.
    """

    limits: Parity
    outputs: dict[str, float] = field(default_factory=dict)
    images: int = 0
    _equal: int = 0
    _pixels: int = 0
    _answers: list[bool] = field(default_factory=list)

    def outputs_agree(self, graph: str, found: NDArray[Any], expected: NDArray[Any], sample: str) -> None:
        """Compare an output of a graph with the model's.

        Raises:
            ParityError: Shapes differ, a number is not finite, or the difference is above the limit.
        """
        if found.shape != expected.shape:
            raise ParityError(
                f"{graph} gives {found.shape} where the model gives {expected.shape}",
                where=sample,
                remedy="report this: the graph was written for another input",
            )
        scale = np.maximum(1.0, np.abs(expected))
        difference = float(np.max(np.abs(found - expected) / scale, initial=0.0))
        self.outputs[graph] = max(difference, self.outputs.get(graph, 0.0))
        if not difference <= self.limits.logits:  # NaN is not within any limit
            raise ParityError(
                f"{graph} differs from the model by {difference:.2e}, allowed is {self.limits.logits:.0e}",
                where=sample,
                remedy="try another export.opset, or allow more in export.parity.logits if this is precision only",
            )

    def answer(self, found: NDArray[np.float32], expected: NDArray[np.float32], sample: str) -> None:
        """Compare the class probabilities [k] of one picture, views averaged, with the model's.

        Raises:
            ParityError: As for `outputs_agree`.
        """
        self.outputs_agree("answer", found, expected, sample)
        self._answers.append(bool(found.argmax() == expected.argmax()))
        self.images += 1

    def mask(self, found: NDArray[np.bool_], expected: NDArray[np.bool_]) -> None:
        """Note one pair of masks of the same size."""
        self._equal += int(np.count_nonzero(found == expected))
        self._pixels += expected.size
        self.images += 1

    @property
    def masks(self) -> float:
        """Fraction of equal pixels over all masks so far."""
        return self._equal / self._pixels if self._pixels else float("nan")

    def report(self) -> dict[str, Any]:
        """What the metadata says of it.

        Raises:
            ParityError: Too few pixels are equal.
        """
        if self._answers:
            return {**self._about(), "classes_equal": sum(self._answers) / len(self._answers)}
        if not self.masks >= self.limits.masks:
            raise ParityError(
                f"masks agree on {self.masks:.4%} of the pixels of {self.images} images,"
                f" required are {self.limits.masks:.2%}",
                where="export.parity.masks",
                remedy="try another export.opset",
            )
        return {**self._about(), "masks_equal": self.masks}

    def _about(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "greatest_difference": dict(sorted(self.outputs.items())),
            "limits": self.limits.model_dump(mode="json"),
        }


def spread(samples: Sequence[str], count: int) -> list[int]:
    """Rows of at most `count` samples, spread evenly over all of them.

    Raises:
        BadInput: There is no sample to compare on.
    """
    if not samples:
        raise BadInput("no test sample to check the graphs on", where="dataset", remedy="prepare with a test split")
    rows = np.linspace(0, len(samples) - 1, min(count, len(samples)))
    return sorted({round(row) for row in rows.tolist()})
