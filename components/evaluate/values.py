"""The `evaluate:` section of a params file."""

from pydantic import Field

from components.core.config import Values
from components.core.tta import Tta, augmented

PHASES = ("warmup", "partial_unfreeze", "end_to_end")
"""Systems that training makes, in its order; the last is what is shipped."""

AUGMENTED = augmented(PHASES[-1])
"""The system that is shipped, its answers averaged over views of each picture."""

PROBES = ("linear probe (untrained encoder)", "linear probe (pretrained encoder)")
"""What the encoder alone tells of the classes, before and after `pretrain`."""


class Evaluate(Values):
    """How a trained recipe is judged.

    Attributes:
        batch_size: Samples per forward pass.
        baselines: Also judge the recipe's yardsticks on the same test split.
        probes: Also judge linear probes of the untrained and the pretrained encoder, where the recipe classifies.
        tta: Also judge the shipped model with its answers averaged over these views; none: without.
        pictures: Test samples shown with pictures in the report, worst first; of classifiers, mistakes of each class.
        draws: Bootstrap samples of the intervals.
    """

    batch_size: int = Field(default=8, ge=1)
    baselines: bool = True
    probes: bool = True
    tta: Tta | None = None
    pictures: int = Field(default=24, ge=0)
    draws: int = Field(default=2000, ge=100)
