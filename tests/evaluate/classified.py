"""Cases of a classifier with three classes, as evaluation sees them."""

from collections.abc import Sequence
from functools import partial

import numpy as np

from components.core.metrics.classification import counts_of, f1_macro, precision_of, recall_of
from components.core.metrics.statistic import Statistic
from components.core.report.report import Confusion
from components.recipes.contract import CasePrediction

CLASSES = ("healthy", "rust", "scab")

STATISTICS: dict[str, Statistic] = {"f1_macro": f1_macro}
for number, name in enumerate(CLASSES):
    STATISTICS[f"precision:{name}"] = partial(precision_of, number=number)
    STATISTICS[f"recall:{name}"] = partial(recall_of, number=number)


def case(number: int, truth: int, predicted: int, sure: float = 0.8) -> CasePrediction:
    """One picture of a leaf of its own, taken for a class with some probability."""
    probability = np.full(len(CLASSES), (1 - sure) / (len(CLASSES) - 1))
    probability[predicted] = sure
    scores = {"accuracy": float(truth == predicted), "probability_of_truth": float(probability[truth])}
    evidence = {"truth": np.asarray(float(truth)), "probability": probability}
    return CasePrediction(f"leaf-{number}", CLASSES[truth], f"plant-{number}", scores, evidence=evidence)


def cases(predicted: Sequence[int], sure: float = 0.8) -> list[CasePrediction]:
    """One case per prediction; true classes take turns."""
    return [case(number, number % len(CLASSES), one, sure) for number, one in enumerate(predicted)]


def confusion(judged: Sequence[CasePrediction]) -> Confusion:
    """As a recipe's task counts them."""
    truth = np.asarray([one.evidence["truth"] for one in judged]).reshape(-1)
    probability = np.asarray([one.evidence["probability"] for one in judged]).reshape(-1, len(CLASSES))
    return Confusion(CLASSES, counts_of({"truth": truth, "probability": probability}).tolist())
