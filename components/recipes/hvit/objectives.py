"""The constants of the loss terms as values (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from components.core.config import Values

Weight = Annotated[float, Field(gt=0)]


class Objectives(Values):
    """Constants of the loss terms.

    Attributes:
        gamma: Focus of the focal term: 0, or at least 1.
        smoothing: Label smoothing of the cross-entropy term, and of that alone.
        class_weights: `balanced` weighs each class by the inverse of its share of the train split; a list gives one
            factor per class, in the alphabetical order of their names.
    """

    gamma: float = Field(default=2.0, ge=0)
    smoothing: float = Field(default=0.1, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] | tuple[Weight, ...] = "none"

    @field_validator("gamma")
    @classmethod
    def _slope_is_bounded(cls, gamma: float) -> float:
        if 0 < gamma < 1:
            raise ValueError(f"gamma {gamma:g} gives gradients without a bound where the model is certain: 0, or >= 1")
        return gamma
