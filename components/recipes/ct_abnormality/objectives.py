"""The constants of the loss terms as values (no torch here)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from components.core.config import Values

Weight = Annotated[float, Field(gt=0)]


class Objectives(Values):
    """Constants of the loss terms.

    Attributes:
        smoothing: Label smoothing of every term: labels are drawn towards one half by this share.
        gamma: Focus of the focal term: 0, or at least 1.
        alpha: Weight of a present label in the focal term, 1 - alpha of an absent one; -1 weighs both alike.
        gamma_negative: Focus of the asymmetric term on absent labels.
        gamma_positive: Its focus on present labels.
        clip: Absent labels of a probability below it cost the asymmetric term nothing.
        pos_weight: Weight of a present label in the BCE term: `balanced` takes negatives / positives of each label in
            the train split, at most `greatest_weight`; a list gives one per label, in their order.
        greatest_weight: Bound on balanced weights.
    """

    smoothing: float = Field(default=0.0, ge=0, lt=1)
    gamma: float = Field(default=2.0, ge=0)
    alpha: float = Field(default=0.25, ge=-1, le=1)
    gamma_negative: float = Field(default=4.0, ge=0)
    gamma_positive: float = Field(default=1.0, ge=0)
    clip: float = Field(default=0.05, ge=0, lt=1)
    pos_weight: Literal["none", "balanced"] | tuple[Weight, ...] = "none"
    greatest_weight: float = Field(default=20.0, ge=1)

    @field_validator("gamma", "gamma_negative", "gamma_positive")
    @classmethod
    def _slope_is_bounded(cls, gamma: float) -> float:
        if 0 < gamma < 1:
            raise ValueError(f"gamma {gamma:g} gives gradients without a bound where the model is certain: 0, or >= 1")
        return gamma

    @field_validator("alpha")
    @classmethod
    def _alpha_is_a_share(cls, alpha: float) -> float:
        if -1 < alpha < 0:
            raise ValueError(f"alpha {alpha:g} is no share: 0 to 1, or -1 to weigh both signs alike")
        return alpha
