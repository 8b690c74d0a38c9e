"""Learning rates of a phase, part by part: of the step's number alone, so that a resumed run has the same."""

from collections.abc import Mapping
from dataclasses import dataclass

from components.core.engine.phase import Phase
from components.core.engine.schedule import factor, longer_warmup, warmup_length


@dataclass(frozen=True)
class Rates:
    """The schedule of one phase.

    Attributes:
        base: Learning rate by part that trains.
        new: Those that the run has not trained before. They alone warm up where the phase is a part of a longer run,
            while the others go on along its one curve.
        steps_per_epoch: Optimiser steps per epoch.
        extension: Epochs by which the phase is extended.
    """

    base: Mapping[str, float]
    new: frozenset[str]
    phase: Phase
    steps_per_epoch: int
    extension: int = 0

    def at(self, step: int) -> dict[str, float]:
        """Learning rate by part for optimiser step `step` (from 0) of the phase."""
        phase, course = self.phase, self.phase.course
        planned = (phase.epochs + self.extension) * self.steps_per_epoch
        asked = longer_warmup(phase.warmup_steps, phase.warmup_epochs, self.steps_per_epoch)
        warmup = warmup_length(asked, planned)
        if course is None:
            scale = factor(step, planned, warmup, phase.schedule)
            return {part: rate * scale for part, rate in self.base.items()}
        total = (course.epochs + self.extension) * self.steps_per_epoch
        scale = factor(phase.begins * self.steps_per_epoch + step, total, 0, phase.schedule)
        rising = (step + 1) / (warmup + 1) if step < warmup else 1.0
        return {part: rate * scale * (rising if part in self.new else 1.0) for part, rate in self.base.items()}
