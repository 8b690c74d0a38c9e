"""What validation says of a whole split."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from components.core.errors import BadInput
from components.core.losses.columns import loss_means
from components.core.metrics import classification


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
        **loss_means(measured),
    }
