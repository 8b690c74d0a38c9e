"""What validation says of a whole split."""

import logging
import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor

from components.core.errors import BadInput
from components.core.metrics import classification

LOSS = "loss"
"""Name of the validation loss; its terms are `loss_TERM`."""

log = logging.getLogger(__name__)


def loss_columns(terms: Mapping[str, Tensor]) -> dict[str, Float[Tensor, "b"]]:
    """Loss terms of a validation batch as columns of the measurements."""
    return {f"{LOSS}_{name}": value.detach().float() for name, value in terms.items()}


def summary_of(measured: Mapping[str, Tensor]) -> dict[str, float]:
    """Metrics of a split from `truth` [n], `probability` [n, k] and the loss columns [n].

    Returns:
        `accuracy`, `f1_macro`, `balanced_accuracy`, `ece`; every term's mean as `loss_TERM` and their sum as `loss`,
        which are left out, with a warning, where one is not finite.

    Raises:
        BadInput: There are no samples.
    """
    if not measured or not len(measured["truth"]):
        raise BadInput(
            "there are no validation samples, so nothing tells a good model",
            where="validation split",
            remedy="prepare with more cases, or with another split seed",
        )
    evidence = {name: np.asarray(measured[name].double().numpy()) for name in ("truth", "probability")}
    return {
        "accuracy": classification.accuracy(evidence),
        "f1_macro": classification.f1_macro(evidence),
        "balanced_accuracy": classification.balanced_accuracy(evidence),
        "ece": classification.ece(evidence),
        **_losses(measured),
    }


def _losses(measured: Mapping[str, Tensor]) -> dict[str, float]:
    means = {name: float(value.double().mean()) for name, value in measured.items() if name.startswith(f"{LOSS}_")}
    wrong = [name for name, value in means.items() if not math.isfinite(value)]
    if wrong:
        log.warning("the validation loss is not finite in %s", ", ".join(wrong))
        return {}
    return {**means, LOSS: math.fsum(means.values())}
