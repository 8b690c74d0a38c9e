"""The judgement of one sample, the same for the model, its phases and every yardstick."""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.metrics import classification
from components.core.report.report import Confusion
from components.recipes.contract import CasePrediction, Statistic
from components.recipes.hvit.pictures import panels

LEAST = float(np.finfo(np.float32).eps)
"""Probabilities below it count as this in the log-loss: one certain mistake must not make a mean infinite."""


def judge(
    dataset: Dataset,
    sample: str,
    probability: Float[np.ndarray, " k"],
    classes: Sequence[str],
    *,
    maps: Mapping[str, Float[np.ndarray, "_ _"]] | None = None,
    pictures: bool = False,
) -> CasePrediction:
    """Every score of one sample.

    Args:
        sample: Id of a labelled case.
        probability: Of every class.
        maps: What spoke for the answer, place by place, for the report.

    Returns:
        Scores `accuracy` (1 or 0), `probability_of_truth` and `nll` (negative log of it, in nats, at most 16); as
        evidence `truth` [] and `probability` [k].

    Raises:
        BadInput: The dataset has no such sample, or its class is none of the model's.
    """
    try:
        row = dataset.row(sample)
        truth = classes.index(row.stratum)
    except (KeyError, ValueError) as error:
        raise BadInput(
            f"no sample {sample!r} of a known class",
            where=str(dataset.folder),
            remedy="judge a model on the dataset it was given",
        ) from error
    likely = float(probability[truth])
    scores = {
        "accuracy": float(probability.argmax() == truth),
        "probability_of_truth": likely,
        "nll": -math.log(max(likely, LEAST)),
    }
    shown = panels(np.asarray(dataset.array(sample, "image")), truth, probability, classes, maps) if pictures else {}
    evidence = {"truth": np.asarray(truth, dtype=np.float64), "probability": np.asarray(probability, dtype=np.float64)}
    return CasePrediction(row.id, row.stratum, row.group, scores, shown, evidence)


def statistics(classes: Sequence[str]) -> dict[str, Statistic]:
    """Metrics of a whole split: macro F1, balanced accuracy, calibration error, precision and recall by class."""
    found: dict[str, Statistic] = {
        "f1_macro": classification.f1_macro,
        "balanced_accuracy": classification.balanced_accuracy,
        "ece": classification.ece,
    }
    for number, name in enumerate(classes):
        found[f"precision:{name}"] = partial(classification.precision_of, number=number)
        found[f"recall:{name}"] = partial(classification.recall_of, number=number)
    return found


def confusion(cases: Sequence[CasePrediction], classes: Sequence[str]) -> Confusion:
    """How often each class was taken for each class."""
    counts = classification.counts_of(stack(cases, len(classes)))
    return Confusion(list(classes), counts.tolist())


def stack(cases: Sequence[CasePrediction], classes: int) -> Mapping[str, Float[np.ndarray, "n ..."]]:
    """The evidence of many cases."""
    truth = np.asarray([case.evidence["truth"] for case in cases], dtype=np.float64)
    probability = np.asarray([case.evidence["probability"] for case in cases], dtype=np.float64)
    return {"truth": truth, "probability": probability.reshape(-1, classes)}
