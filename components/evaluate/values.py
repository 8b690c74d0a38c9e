"""The `evaluate:` section of a params file."""

from pydantic import Field

from components.core.config import Values

PHASES = ("warmup", "partial_unfreeze", "end_to_end")
"""Systems that training makes, in its order; the last is what is shipped."""


class Evaluate(Values):
    """How a trained recipe is judged.

    Attributes:
        batch_size: Samples per forward pass.
        baselines: Also judge the recipe's yardsticks on the same test split.
        pictures: Test samples shown with pictures in the report, worst first.
        draws: Bootstrap samples of the intervals.
    """

    batch_size: int = Field(default=8, ge=1)
    baselines: bool = True
    pictures: int = Field(default=24, ge=0)
    draws: int = Field(default=2000, ge=100)
