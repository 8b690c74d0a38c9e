"""A phase as values: what trains, at which rates, on which losses, for how long."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from components.core.augment.mixing import Mix
from components.core.config import Values


class Ema(Values):
    """Exponential moving average of the trainable weights: decay_t = min(decay, (1 + t) / (10 + t))."""

    decay: float = Field(ge=0, lt=1)


class Handoff(Values):
    """What the next phase receives.

    Attributes:
        weights: `best` by the monitor, or `last`.
        optimizer: `fresh` starts the next phase with empty moments and the warm-up of its weight average at 0; `keep`
            carries both.
    """

    weights: Literal["best", "last"] = "best"
    optimizer: Literal["fresh", "keep"] = "fresh"


class Course(Values):
    """Where a phase stands in a longer run whose one schedule it follows.

    Attributes:
        begins: Epoch of the run, from 0, with which the phase begins: rates, order and views of samples go by it.
        epochs: Of the run.
        new: Keys of `Phase.trainable` that did not train in the run before: they alone warm up.
    """

    begins: int = Field(ge=0)
    epochs: int = Field(ge=1)
    new: tuple[str, ...] = ()


class Phase(Values):
    """One of warmup, partial_unfreeze, end_to_end, or a leg of it.

    Attributes:
        epochs: How long; a phase of none passes its input through.
        trainable: Learning rate by pattern of part names (fnmatch), or by `group:NAME` for a layer group. Of several
            that match a part, its own name wins, then its group, then the pattern with the most literal characters,
            whatever their order. A pattern that matches no part is an error. Everything else is frozen, in eval mode.
        losses: Weight by loss term; the recipe knows the terms. Kept in alphabetical order: a sum's last digits
            depend on the order of its terms, and two spellings of the same values must give the same bits.
        batch_size: Samples per micro-batch.
        accumulate: Micro-batches per optimiser step; the effective batch is their product.
        warmup_steps: Linear warm-up, in optimiser steps.
        warmup_epochs: The same in epochs: the longer of the two holds, and at most 10 % of the phase.
        layer_decay: Factor on the rate per layer group from the head down (BEiT, arXiv:2106.08254, app. A): the first
            part that trains, in the order head to stem, keeps its rate, the next has this share of its own, and so on.
        views: Deterministic augmented views per sample (view 0 is the identity); their frozen features are
            computed once. 0 draws a fresh view every epoch and caches nothing.
        mix: MixUp and CutMix of the samples of a step; None trains on plain ones.
        patience: Epochs without a better monitor before the phase ends; 0 never ends early.
        validate_every: Epochs between validations; the last epoch is always validated.
        validate_first: Validate the weights that the phase begins with, too.
        course: The longer run that the phase is a part of; None where its schedule is its own.
    """

    epochs: int = Field(ge=0)
    batch_size: int = Field(default=8, ge=1)
    accumulate: int = Field(default=1, ge=1)
    trainable: dict[str, float] = Field(default_factory=dict)
    losses: dict[str, float] = Field(min_length=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_steps: int = Field(default=0, ge=0)
    warmup_epochs: float = Field(default=0.0, ge=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    schedule: Literal["constant", "cosine"] = "cosine"
    clip: float = Field(default=1.0, gt=0)
    ema: Ema | None = None
    views: int = Field(default=1, ge=0)
    mix: Mix | None = None
    patience: int = Field(default=0, ge=0)
    validate_every: int = Field(default=1, ge=1)
    validate_first: bool = False
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    handoff: Handoff = Handoff()
    course: Course | None = None

    @property
    def begins(self) -> int:
        """Epoch of the run with which the phase begins; 0 where it is a run of its own."""
        return self.course.begins if self.course else 0

    @field_validator("losses")
    @classmethod
    def _in_one_order(cls, losses: dict[str, float]) -> dict[str, float]:
        return dict(sorted(losses.items()))

    @model_validator(mode="after")
    def _rates_are_positive(self) -> "Phase":
        wrong = {pattern: rate for pattern, rate in self.trainable.items() if rate <= 0}
        if wrong:
            raise ValueError(f"learning rates must be above 0, got {wrong}; leave a part out to freeze it")
        return self

    @model_validator(mode="after")
    def _something_trains(self) -> "Phase":
        if self.epochs and not self.trainable:
            raise ValueError("trainable names nothing: a phase that has epochs trains at least one part")
        return self

    @model_validator(mode="after")
    def _mixed_pixels_are_fresh(self) -> "Phase":
        if self.mix is not None and self.mix.where == "pixels" and self.views >= 1:
            raise ValueError(
                f"mixed pixels differ in every epoch, so that views: {self.views} would keep features of none of them:"
                " set mix.where: features (with cutmix: 0) to mix what the frozen layers give, or views: 0"
            )
        return self
