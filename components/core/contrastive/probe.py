"""The linear probe: what a frozen encoder knows of the classes, told by logistic regression on its features."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Features: TypeAlias = Float[np.ndarray, "n d"]
Labels: TypeAlias = Int[np.ndarray, " n"]
Predict: TypeAlias = Callable[[Float[np.ndarray, "m d"]], Float[np.ndarray, "m k"]]

ITERATIONS = 5000
"""Of L-BFGS: standardised features need far fewer."""


def fit_probe(features: Features, labels: Labels, classes: int | None = None) -> Predict:
    """Fit multinomial logistic regression (L2, C = 1) on standardised features.

    Args:
        features: Outputs of the frozen encoder.
        labels: Classes, counted from 0.
        classes: k; None takes the greatest label's.

    Returns:
        Features [m, d] to class probabilities [m, k]; a class without samples has probability 0.

    Raises:
        ValueError: There is no sample, or a label outside of 0 to k - 1.
    """
    count = int(labels.max(initial=-1)) + 1 if classes is None else classes
    present = np.unique(labels)
    if not len(present) or present[0] < 0 or present[-1] >= count:
        raise ValueError(f"labels must be 0 to {count - 1}, there are {present.tolist()}")
    if len(present) == 1:
        return lambda asked: np.eye(count)[np.full(len(asked), present[0])]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
    model.fit(np.asarray(features, dtype=np.float64), labels)

    def predict(asked: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "m k"]:
        probabilities = np.zeros((len(asked), count))
        if len(asked):
            probabilities[:, present] = model.predict_proba(np.asarray(asked, dtype=np.float64))
        return probabilities

    return predict


def probe_accuracy(features: Features, labels: Labels, groups: Sequence[str], folds: int) -> float | None:
    """Accuracy of linear probes on samples of groups that they were not fitted on.

    Grouped stratified cross-validation with fixed folds: a pure function of its arguments. Classes that only one group
    shows cannot be judged so and are left out; there are at most as many folds as the rarest of the others has groups.

    Args:
        features: Outputs of the frozen encoder.
        labels: Classes; -1 where unknown, which is left out.
        groups: Patient or source of each sample; no group is both fitted on and judged.
        folds: At most so many.

    Returns:
        Share of correct classes over all samples judged; None where fewer than two classes can be.
    """
    names = np.unique(np.asarray(groups), return_inverse=True)[1]
    kept, most = judgeable(labels, names)
    if not kept.any():
        return None
    features, labels, names = np.asarray(features)[kept], labels[kept], names[kept]
    splitter = StratifiedGroupKFold(n_splits=min(folds, most), shuffle=True, random_state=0)
    right = 0
    for fitted, judged in splitter.split(features, labels, names):
        probabilities = fit_probe(features[fitted], labels[fitted], int(labels.max()) + 1)(features[judged])
        right += int((probabilities.argmax(axis=1) == labels[judged]).sum())
    return right / len(labels)


def judgeable(labels: Labels, groups: Int[np.ndarray, " n"]) -> tuple[Bool[np.ndarray, " n"], int]:
    """Samples whose class several groups show, and how many groups the rarest such class has.

    Args:
        labels: Classes; -1 where unknown.
        groups: Number of each sample's group.

    Returns:
        No sample and 0 where fewer than two classes are left.
    """
    shown = {int(one): len(np.unique(groups[labels == one])) for one in np.unique(labels) if one >= 0}
    several = {one: count for one, count in shown.items() if count > 1}
    if len(several) < 2:
        return np.zeros(len(labels), dtype=bool), 0
    return np.isin(labels, list(several)), min(several.values())
