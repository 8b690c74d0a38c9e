"""What validation says of a whole split."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor

from components.core.errors import BadInput
from components.core.losses.columns import loss_means
from components.core.metrics.multilabel import auprc_by_label, auroc_by_label, macro
from components.core.metrics.operating_point import fit_shifts

TRUTH, PROBABILITY = "truth", "probability"
SURE = 0.5
"""A soft label of at least this counts as present where presence is judged."""


def presence(labels: Float[np.ndarray, "*n l"]) -> Float[np.ndarray, "*n l"]:
    """Labels as judgement takes them: 1, 0, or NaN where unknown."""
    return np.where(np.isnan(labels), np.nan, labels >= SURE).astype(np.float64)


def evidence_of(measured: Mapping[str, Tensor]) -> dict[str, Float[np.ndarray, "n l"]]:
    """Truth and probability of every volume measured.

    Raises:
        BadInput: There are none.
    """
    if not measured or not len(measured[TRUTH]):
        raise BadInput(
            "there are no validation samples, so nothing tells a good model",
            where="validation split",
            remedy="prepare with more volumes, or with another split seed",
        )
    truth, probability = (np.asarray(measured[name].double().numpy()) for name in (TRUTH, PROBABILITY))
    return {TRUTH: presence(truth), PROBABILITY: probability}


def summary_of(measured: Mapping[str, Tensor]) -> dict[str, float]:
    """Metrics of a split from `truth` [n, l], `probability` [n, l] and the loss columns [n].

    Returns:
        `auroc_macro` and `auprc_macro`, means over the labels that have both sides there, NaN where none has;
        `labels_judged`, their number; every term's mean as `loss_TERM` and their sum as `loss`.

    Raises:
        BadInput: There are no samples.
    """
    evidence = evidence_of(measured)
    by_label = auroc_by_label(evidence)
    return {
        "auroc_macro": macro(by_label),
        "auprc_macro": macro(auprc_by_label(evidence)),
        "labels_judged": float((~np.isnan(by_label)).sum()),
        **loss_means(measured),
    }


def shifts_of(measured: Mapping[str, Tensor]) -> Float[np.ndarray, " l"]:
    """Shift of each label's logit that puts its operating point at one half."""
    evidence = evidence_of(measured)
    return fit_shifts(evidence[TRUTH], evidence[PROBABILITY])
