"""The `pretrain:` section: how an encoder is trained without labels. Imports no torch."""

from typing import Literal

from pydantic import Field

from components.core.augment.simclr import AnyViews, ColourViews
from components.core.config import Values
from components.core.engine.phase import Handoff, Phase

LOSS = "nt_xent"
"""The only loss term."""

ENCODER, PROJECTION = "encoder", "projection"
"""Parts of the network in training: what is handed on, and what is thrown away."""


class Probe(Values):
    """The linear probe that tells what the encoder has learnt so far: on train pictures alone, never on val or test.

    Attributes:
        every: Epochs between probes; there is one before the first epoch and one after the last in any case.
        folds: Of the cross-validation between groups of the labelled train pictures.
        pictures: At most so many are looked at; whole groups of more are left out, always the same ones.
    """

    every: int = Field(default=10, ge=1)
    folds: int = Field(default=5, ge=2)
    pictures: int = Field(default=5000, ge=2)


class Pretrain(Values):
    """SimCLR on the train pictures and those without labels.

    Attributes:
        epochs: 0 leaves the encoder as the recipe's own weights have it.
        batch_size: Pictures per step, over all processes. Each is told from the others of its batch, so that
            accumulation would not make up for a smaller one: there is none.
        rate: Learning rate of AdamW.
        warmup_epochs: Linear warm-up, at most 10 % of all epochs; then the schedule.
        temperature: Of the loss. 0.2 for small batches; the paper takes 0.1, and 0.07 is often seen.
        projection: Width of the vectors that the loss compares.
        views: What the two views of a picture differ in: `preset: colour`, or `grey` for CT and ultrasound.
        clip: Greatest norm of the gradients.

    Source:
        Chen et al., ICML 2020, arXiv:2002.05709.
    """

    epochs: int = Field(default=0, ge=0)
    batch_size: int = Field(default=64, ge=2)
    rate: float = Field(default=3e-4, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_epochs: float = Field(default=10.0, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    temperature: float = Field(default=0.2, gt=0)
    projection: int = Field(default=128, ge=1)
    views: AnyViews = ColourViews()
    probe: Probe = Probe()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    clip: float = Field(default=1.0, gt=0)

    def phase(self) -> Phase:
        """What the engine trains: all of the encoder and the projection, on fresh views, up to the last epoch."""
        return Phase(
            epochs=self.epochs,
            batch_size=self.batch_size,
            trainable={ENCODER: self.rate, PROJECTION: self.rate},
            losses={LOSS: 1.0},
            weight_decay=self.weight_decay,
            warmup_epochs=self.warmup_epochs,
            schedule=self.schedule,
            clip=self.clip,
            views=0,
            validate_every=self.probe.every,
            validate_first=True,
            precision=self.precision,
            handoff=Handoff(weights="last"),
        )
