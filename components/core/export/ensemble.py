"""Several bundles asked the same question, their answers averaged. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from components.core.errors import BadInput
from components.core.export.prediction import Prediction, Predictor
from components.core.tta import merge


@dataclass(frozen=True)
class Vote:
    """What is thought of one picture or volume.

    Attributes:
        probability: Of every label or class, [l].
        variance: Of the probabilities that were averaged, over views or over bundles, [l]; None where there was one.
    """

    probability: Float[np.ndarray, " l"]
    variance: Float[np.ndarray, " l"] | None = None

    @classmethod
    def over(cls, answers: Sequence[Float[np.ndarray, " l"]]) -> "Vote":
        """The mean of several answers, and what they differ by."""
        several = np.var(np.stack(answers), axis=0, dtype=np.float64) if len(answers) > 1 else None
        return cls(merge(answers), several)


@runtime_checkable
class Voter(Predictor, Protocol):
    """A predictor whose answer is a probability of every label or class, so that several can be averaged.

    Attributes:
        array: Array of a prepared dataset's case that `vote` takes.
    """

    array: str

    @property
    def names(self) -> Sequence[str]:
        """Labels or classes, by number."""

    def vote(self, image: NDArray[np.uint8]) -> Vote:
        """What it thinks of what `read` gives."""

    def tell(self, image: NDArray[np.uint8], vote: Vote) -> Prediction:
        """A vote as an answer to a reader."""


class Ensemble:
    """Bundles of one recipe that know the same labels.

    Args:
        members: By the bundle's folder, in the order in which they were named.

    Raises:
        BadInput: There is none, one's answers cannot be averaged, or they know other labels.
    """

    def __init__(self, members: Sequence[tuple[Path, Predictor]]) -> None:
        if not members:
            raise BadInput("an ensemble without a bundle", where="ensemble", remedy="name one bundle or more")
        voters: list[Voter] = []
        for folder, member in members:
            if not isinstance(member, Voter):
                raise BadInput(
                    "answers of this recipe are no probabilities that could be averaged",
                    where=str(folder),
                    remedy="ask one bundle",
                )
            if voters and list(member.names) != list(voters[0].names):
                raise BadInput(
                    f"it answers for {', '.join(member.names)}, another one for {', '.join(voters[0].names)}",
                    where=str(folder),
                    remedy="average bundles that were trained on the same labels",
                )
            voters.append(member)
        self.members = voters

    def ask(self, path: Path) -> Prediction:
        """Answer for one file. Each member reads it for itself: they may cut slices or scale pictures differently.

        Raises:
            BadInput: It cannot be read.
        """
        images = [member.read(path) for member in self.members]
        votes = [member.vote(image) for member, image in zip(self.members, images, strict=True)]
        return self.members[0].tell(images[0], averaged(votes))


def averaged(votes: Sequence[Vote]) -> Vote:
    """Mean of the probabilities, and what the voters differ by. One vote stays what it is."""
    return votes[0] if len(votes) == 1 else Vote.over([vote.probability for vote in votes])
