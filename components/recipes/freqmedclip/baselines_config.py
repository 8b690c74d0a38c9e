"""The `baselines:` section of freqmedclip: the yardsticks beside every table (no torch here)."""

from typing import Literal, TypeAlias

from pydantic import Field

from components.core.config import Values
from components.core.engine.phase import Phase

Name: TypeAlias = Literal["all_foreground", "constant_mask", "otsu", "m2ib"]


class UnetBaseline(Values):
    """A supervised U-Net on the same split, by the same engine, on pictures of the model's size.

    Attributes:
        width: Channels of its first level; each further level doubles them.
        depth: Number of halvings; the image size must be at least 2^depth.
        phase: Its training. The only part is `unet`, the losses are `dice` and `bce`.
    """

    width: int = Field(default=16, ge=1)
    depth: int = Field(default=4, ge=1, le=6)
    phase: Phase = Phase(
        epochs=60,
        batch_size=16,
        trainable={"unet": 1e-3},
        losses={"dice": 1.0, "bce": 1.0},
        warmup_steps=20,
        views=0,
    )


class BaselinesConfig(Values):
    """Which yardsticks are printed.

    Attributes:
        names: Those that need no training loop.
        m2ib_batch: Pictures per batch of M2IB; each is there once per noise copy.
        unet: None leaves the U-Net out.
    """

    names: tuple[Name, ...] = ("all_foreground", "constant_mask", "otsu", "m2ib")
    m2ib_batch: int = Field(default=4, ge=1)
    unet: UnetBaseline | None = UnetBaseline()
