"""The judgement of one volume, the same for the model, its phases and every yardstick."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from components.core.data.case import LABELS
from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.metrics.operating_point import OPERATING_POINT
from components.recipes.contract import CasePrediction
from components.recipes.ct_abnormality.loading import SLICES
from components.recipes.ct_abnormality.measures import PROBABILITY, TRUTH, presence
from components.recipes.ct_abnormality.pictures import panels

LEAST = float(np.finfo(np.float32).eps)
"""Probabilities nearer to 0 or 1 count as this in the log-loss: one certain mistake must not make a mean infinite."""

HEALTHY = "no abnormality"

VARIANCE = "variance"
"""Begins the scores that tell how much the answers of several views, or of an ensemble, to a volume differ."""


def judge(
    dataset: Dataset,
    sample: str,
    probability: Float[np.ndarray, " l"],
    names: Sequence[str],
    *,
    variance: Float[np.ndarray, " l"] | None = None,
    telling: Float[np.ndarray, "n l"] | None = None,
    pictures: bool = False,
) -> CasePrediction:
    """Every score of one volume.

    Args:
        sample: Id of a labelled volume.
        probability: Of every label, its operating point at one half.
        variance: Of the probabilities over several views, or over the members of an ensemble.
        telling: What each slice added to each label's score, for the report.

    Returns:
        Scores `log_loss` (mean over the known labels, in nats, at most 16), `probability_of_truth` (its exponential
        average: the geometric mean of what was given to the true side of each known label) and `accuracy` (share of
        known labels told right), NaN where no label is known; `variance` (mean) and `variance:LABEL` where
        there were several answers; as evidence `truth` [l] (NaN where unknown) and `probability` [l].

    Raises:
        BadInput: The dataset has no such volume, or other labels than the model.
    """
    try:
        row, stored = dataset.row(sample), np.asarray(dataset.array(sample, LABELS), dtype=np.float64)
    except KeyError as error:
        raise BadInput(
            f"no labelled volume {sample!r}",
            where=str(dataset.folder),
            remedy="judge a model on the dataset it was given",
        ) from error
    if len(stored) != len(names):
        raise BadInput(
            f"{sample!r} has {len(stored)} labels, the model {len(names)}",
            where=str(dataset.folder),
            remedy="judge a model on the dataset it was given",
        )
    truth = presence(stored)
    scores = _scores(truth, probability)
    if variance is not None:
        scores[VARIANCE] = float(variance.mean())
        scores |= {f"{VARIANCE}:{name}": float(value) for name, value in zip(names, variance, strict=True)}
    slices = np.asarray(dataset.array(sample, SLICES)) if pictures else None
    shown = panels(slices, truth, probability, names, telling) if slices is not None else {}
    evidence = {TRUTH: truth, PROBABILITY: np.asarray(probability, dtype=np.float64)}
    return CasePrediction(row.id, row.stratum or findings(truth), row.group, scores, shown, evidence)


def _scores(truth: Float[np.ndarray, " l"], probability: Float[np.ndarray, " l"]) -> dict[str, float]:
    known = ~np.isnan(truth)
    if not known.any():
        return dict.fromkeys(("log_loss", "probability_of_truth", "accuracy"), float("nan"))
    given = np.where(truth[known] == 1, probability[known], 1 - probability[known]).astype(np.float64)
    loss = float(-np.log(np.maximum(given, LEAST)).mean())
    called = probability[known] >= OPERATING_POINT
    return {
        "log_loss": loss,
        "probability_of_truth": float(np.exp(-loss)),
        "accuracy": float((called == (truth[known] == 1)).mean()),
    }


def findings(truth: Float[np.ndarray, " l"]) -> str:
    """How much a volume shows: what results are broken down by."""
    count = int((truth == 1).sum())
    if count == 0:
        return HEALTHY
    return f"{count} abnormalit{'y' if count == 1 else 'ies'}" if count <= MANY else f"over {MANY} abnormalities"


MANY = 4
"""Above so many abnormalities their number is not told apart."""
