"""Loss terms of a validation as columns of the measurements, and their means."""

import logging
import math
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

LOSS = "loss"
"""Name of the validation loss; its terms are `loss_TERM`, apart from metrics of the same name."""

log = logging.getLogger(__name__)


def loss_columns(terms: Mapping[str, Tensor]) -> dict[str, Float[Tensor, "b"]]:
    """Loss terms of a validation batch as columns of the measurements."""
    return {f"{LOSS}_{name}": value.detach().float().cpu() for name, value in terms.items()}


def loss_means(measured: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean of every loss column, and their sum as `loss`; nothing where one is not finite, which is warned of."""
    means = {name: float(column.double().mean()) for name, column in measured.items() if name.startswith(f"{LOSS}_")}
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        log.warning("the validation loss is not finite in %s", ", ".join(wrong))
    return {} if wrong or not means else {**means, LOSS: math.fsum(means.values())}
