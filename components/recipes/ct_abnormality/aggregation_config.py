"""From slices to a volume, as values (no torch here)."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from pydantic import Field

from components.core.config import Values

if TYPE_CHECKING:
    from components.recipes.ct_abnormality.aggregation import Aggregation


class _Aggregated(Values):
    """What every head has.

    Attributes:
        dropout: Of the slices' vectors, while training.
    """

    dropout: float = Field(default=0.0, ge=0, lt=1)


class GatedAttention(_Aggregated):
    """A label's score is the mean over slices, weighed by how much each tells of this label (gated attention pooling).

    Attributes:
        hidden: Width of the gates.

    Source:
        Ilse et al. 2018, Attention-based Deep Multiple Instance Learning, arXiv:1802.04712, eq. 9.
    """

    kind: Literal["gated"] = "gated"
    hidden: int = Field(default=128, ge=1)

    def build(self, width: int, labels: int) -> "Aggregation":
        """Build it for slice vectors of `width`, weights from torch's current generator."""
        from components.recipes.ct_abnormality.aggregation import Gated

        return Gated(width, labels, self.hidden, self.dropout)


class MeanOfLogits(_Aggregated):
    """A label's score is the mean of the slices' scores."""

    kind: Literal["mean"] = "mean"

    def build(self, width: int, labels: int) -> "Aggregation":
        """Build it for slice vectors of `width`, weights from torch's current generator."""
        from components.recipes.ct_abnormality.aggregation import Mean

        return Mean(width, labels, self.dropout)


class MaxOfLogits(_Aggregated):
    """A label's score is that of the slice that shows it most."""

    kind: Literal["max"] = "max"

    def build(self, width: int, labels: int) -> "Aggregation":
        """Build it for slice vectors of `width`, weights from torch's current generator."""
        from components.recipes.ct_abnormality.aggregation import Greatest

        return Greatest(width, labels, self.dropout)


class SliceBySlice(_Aggregated):
    """Every slice is taught the labels of its volume, by itself; a volume's answer is drawn from those of its slices.

    Attributes:
        answer: Of a volume: the `mean` or the `max` of its slices' probabilities.
    """

    kind: Literal["slices"] = "slices"
    answer: Literal["mean", "max"] = "mean"

    def build(self, width: int, labels: int) -> "Aggregation":
        """Build it for slice vectors of `width`, weights from torch's current generator."""
        from components.recipes.ct_abnormality.aggregation import EachSlice

        return EachSlice(width, labels, self.dropout, greatest=self.answer == "max")


AggregationConfig: TypeAlias = Annotated[
    GatedAttention | MeanOfLogits | MaxOfLogits | SliceBySlice, Field(discriminator="kind")
]
