"""Where a phase stands: everything about an unfinished run that is not a tensor."""

import math
from collections.abc import Mapping
from typing import Any

from components.core.config import Values

RATE = "rate/"
"""Prefix of a part's learning rate in a row of the history."""

LR = "train/lr"
"""The greatest of the parts' learning rates in a row of the history: that of the head, as a rule."""


class Validation(Values):
    """One validation.

    Attributes:
        value: The monitor's value.
        summary: All metrics of that validation.
        decision: Choices it makes with those weights.
    """

    epoch: int
    value: float
    summary: dict[str, float]
    decision: dict[str, str]


class Progress:
    """Counters and histories of one stage, as JSON and back without losing a bit (floats print exactly).

    Attributes:
        leg: Number of the leg under way, from 0; a stage without a strategy has one.
        first_epoch: Epochs done before that leg.
        first_step: Optimiser steps done before that leg.
        epoch: Epoch under way, from 0, over all legs.
        window: Optimiser steps done in that epoch.
        step: Optimiser steps done, over all legs.
        micro_batch: Samples per micro-batch; smaller than configured after running out of memory.
        sums: Running sums of loss terms over the samples of the epoch under way.
        history: One row per finished epoch.
        ended: Epochs after which patience ended the leg, before any extension; None where it has not.
        before: Metrics of the weights that the phase began with, where they were asked for.
    """

    def __init__(self, micro_batch: int) -> None:
        self.leg = self.first_epoch = self.first_step = 0
        self.epoch = 0
        self.window = 0
        self.step = 0
        self.micro_batch = micro_batch
        self.samples = 0
        self.sums: dict[str, float] = {}
        self.history: list[dict[str, float]] = []
        self.best: Validation | None = None
        self.latest: Validation | None = None
        self.before: dict[str, float] = {}
        self.averages = 0
        self.ended: int | None = None
        self.scaler: dict[str, Any] = {}

    def next_leg(self) -> None:
        """Begin the next leg: what is best, and patience, begin anew."""
        self.leg += 1
        self.first_epoch, self.first_step = self.epoch, self.step
        self.best = self.latest = self.ended = None

    @property
    def leg_epoch(self) -> int:
        """Epoch under way, from 0, of its leg."""
        return self.epoch - self.first_epoch

    @property
    def leg_step(self) -> int:
        """Optimiser steps done in the leg under way."""
        return self.step - self.first_step

    def add(self, terms: Mapping[str, float], samples: int) -> None:
        """Count one optimiser step: summed loss terms over its samples."""
        self.step += 1
        self.window += 1
        self.samples += samples
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0.0) + value

    def finish_epoch(self, summary: Mapping[str, float] | None, rates: Mapping[str, float]) -> dict[str, float]:
        """Close the epoch under way and return its history row.

        Args:
            summary: Metrics of its validation, if there was one.
            rates: Learning rate by part, of its last step.
        """
        row = {f"train/{name}": value / self.samples for name, value in self.sums.items()}
        row["train/loss"] = math.fsum(row.values())
        row[LR] = max(rates.values(), default=0.0)
        row["epoch"] = float(self.epoch)
        row.update({f"{RATE}{part}": rate for part, rate in rates.items()})
        if summary is not None:
            row.update({f"val/{name}": value for name, value in summary.items()})
        self.history.append(row)
        self.epoch += 1
        self.window = 0
        self.samples = 0
        self.sums = {}
        return row

    def consider(self, summary: Mapping[str, float], monitor: str, decision: dict[str, str]) -> bool:
        """Take note of a validation. Returns True if it is the best so far."""
        value = summary[monitor]
        metrics = defined(summary)
        if not math.isnan(value):
            self.latest = Validation(epoch=self.epoch, value=value, summary=metrics, decision=decision)
            if self.best is None or value > self.best.value:
                self.best = self.latest
                return True
        return False

    def end_if_stale(self, patience: int, planned: int) -> None:
        """End the leg with the epoch under way if `patience` epochs have gone by since its best one.

        Args:
            patience: Epochs; 0 never ends a leg.
            planned: Epochs configured for it. Those of an extension were asked for by number, and are trained.
        """
        stale = patience > 0 and self.best is not None and self.epoch - self.best.epoch >= patience
        if stale and self.ended is None and self.leg_epoch < planned:
            self.ended = self.leg_epoch + 1

    def dump(self) -> dict[str, Any]:
        """Plain values for a checkpoint's metadata."""
        values = dict(vars(self))
        for name in ("best", "latest"):
            values[name] = values[name].model_dump() if values[name] else None
        values["history"] = [defined(row) for row in self.history]
        return values

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> "Progress":
        """The progress that `dump` wrote."""
        progress = cls(values["micro_batch"])
        vars(progress).update(values)
        for name in ("best", "latest"):
            setattr(progress, name, Validation.model_validate(values[name]) if values[name] else None)
        return progress


def defined(metrics: Mapping[str, float]) -> dict[str, float]:
    """Those that are numbers."""
    return {name: value for name, value in metrics.items() if not math.isnan(value)}
