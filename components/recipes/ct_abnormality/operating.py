"""The operating point as it travels with a model: a shift of each label's logit, by the label's name."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from components.core.metrics.operating_point import apply_shifts

SHIFT = "shift:"
"""Begins the keys that hold the shifts, exactly printed."""

FITTED_ON = "operating_point"
"""Key of the split that they were fitted on."""


def decision_of(shifts: Float[np.ndarray, " l"], names: Sequence[str], split: str) -> dict[str, str]:
    """Choices to be recorded with a model."""
    told = {f"{SHIFT}{name}": repr(float(shift)) for name, shift in zip(names, shifts, strict=True)}
    return {FITTED_ON: split, **told}


def shifts_in(decision: Mapping[str, str], names: Sequence[str]) -> Float[np.ndarray, " l"]:
    """The shifts that a model was recorded with; 0 where there is none."""
    return np.asarray([float(decision.get(f"{SHIFT}{name}", "0")) for name in names], dtype=np.float64)


def shifted(
    probability: Float[np.ndarray, "*n l"], decision: Mapping[str, str], names: Sequence[str]
) -> Float[np.ndarray, "*n l"]:
    """Probabilities whose operating point is one half; as they are where nothing was fitted."""
    shifts = shifts_in(decision, names)
    if not shifts.any():
        return probability
    moved: Float[np.ndarray, "*n l"] = apply_shifts(probability, shifts)
    return moved
