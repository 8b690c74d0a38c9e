"""What mixing two samples of a batch may do, and which of them it mixes: values and draws, without torch."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from pydantic import Field, model_validator

from components.core.augment.randomness import generator
from components.core.config import Values

STREAM = 0x313C
"""Tells the draws of mixing from all others under the same seed."""


@dataclass(frozen=True)
class Pairing:
    """How the samples of one window (effective batch) are mixed.

    Attributes:
        partners: Position in the window of each sample's partner; pairs are mutual, and the last sample of an odd
            window is its own.
        own: Weight of the sample itself as drawn, in [0, 1]; 1 leaves it as it is.
        cut: Whether the rest is pasted as a box (CutMix) or blended in (MixUp).
        centres: Middle of the box as shares of height and width, in [0, 1).
    """

    partners: Int64[np.ndarray, "n"]
    own: Float64[np.ndarray, "n"]
    cut: np.ndarray
    centres: Float64[np.ndarray, "n 2"]

    def boxes(self, height: int, width: int) -> Int64[np.ndarray, "n 4"]:
        """Pasted boxes as (top, bottom, left, right) in pixels, clipped to the picture; empty where nothing is.

        Yun et al. 2019 (arXiv:1905.04899), section 3.1: sides of sqrt(1 - lambda), the middle anywhere.
        """
        sizes = np.array([height, width])
        sides = (np.sqrt(1 - self.own)[:, None] * sizes).astype(np.int64) * self.cut[:, None]
        middles = (self.centres * sizes).astype(np.int64)
        lows = np.clip(middles - sides // 2, 0, sizes)
        highs = np.clip(middles + (sides + 1) // 2, 0, sizes)
        return np.stack([lows[:, 0], highs[:, 0], lows[:, 1], highs[:, 1]], axis=1)

    def weights(self, height: int, width: int) -> Float64[np.ndarray, "n"]:
        """Weight of each sample's own label: as drawn, and for CutMix 1 - pasted area of the clipped box."""
        top, bottom, left, right = self.boxes(height, width).T
        return np.where(self.cut, 1 - (bottom - top) * (right - left) / (height * width), self.own)


class Mix(Values):
    """Mixing of samples and their labels: MixUp (Zhang et al. 2018) or CutMix (Yun et al. 2019), one of them at a time.

    Attributes:
        mixup: Alpha of MixUp: the weight of a sample is drawn from Beta(alpha, alpha). 0 switches it off.
        cutmix: Alpha of CutMix: the kept area before the box is clipped, drawn likewise. 0 switches it off.
        switch: Probability of CutMix where both are on.
        probability: Probability of mixing at all.
        per: What shares a draw: the effective `batch`, or each `pair` of samples.
        where: `pixels` of the batch's pictures, which therefore must be fresh in every epoch (`views: 0`); or
            `features`: the outputs of the frozen layers, which stay cached. Features have no boxes: MixUp alone.
    """

    mixup: float = Field(default=0.8, ge=0)
    cutmix: float = Field(default=1.0, ge=0)
    switch: float = Field(default=0.5, ge=0, le=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    per: Literal["batch", "pair"] = "batch"
    where: Literal["pixels", "features"] = "pixels"

    @model_validator(mode="after")
    def _something_is_mixed(self) -> "Mix":
        if self.mixup == 0 and self.cutmix == 0:
            raise ValueError("mixup and cutmix are both 0: leave `mix` out to mix nothing")
        if self.where == "features" and self.cutmix > 0:
            raise ValueError("features have no boxes to cut: set cutmix to 0 with where: features")
        return self

    def pairing(self, seed: int, epoch: int, window: int, size: int) -> Pairing:
        """Who is mixed with whom, and how: a pure function of the arguments, whoever asks.

        Args:
            seed: Of the training.
            epoch: From 0.
            window: Number of the window (effective batch over all ranks) in its epoch, from 0.
            size: Samples of the window.
        """
        mates = partners(size)
        groups = np.zeros(size, dtype=np.int64) if self.per == "batch" else np.arange(size) // 2
        drawn = [self._draw(seed, epoch, window, group) for group in range(int(groups.max(initial=-1)) + 1)]
        own, cut, down, across = np.array(drawn, dtype=np.float64).reshape(-1, 4)[groups].T
        alone = mates == np.arange(size)
        own = np.where(alone, 1.0, own)
        return Pairing(mates, own, (cut > 0) & ~alone, np.stack([down, across], axis=1))

    def _draw(self, seed: int, epoch: int, window: int, group: int) -> tuple[float, float, float, float]:
        """(weight of the sample itself, 1 for a box, middle of the box down and across)."""
        random = generator(seed, epoch, window, group, STREAM)
        mixes, chosen, down, across = random.random(4)
        cut = self.cutmix > 0 and (self.mixup == 0 or chosen < self.switch)
        alpha = self.cutmix if cut else self.mixup
        own = float(random.beta(alpha, alpha)) if mixes < self.probability else 1.0
        return own, float(cut), float(down), float(across)


def partners(size: int) -> Int64[np.ndarray, "n"]:
    """Position of each sample's partner in a window of `size` samples.

    Neighbours pair up: the order of an epoch is a permutation already, so a neighbour is as random a partner as any;
    and of a contiguous share of the window, a rank lacks no more than one partner at either end.
    """
    positions = np.arange(size, dtype=np.int64)
    mates = positions ^ 1
    return np.where(mates < size, mates, positions)
