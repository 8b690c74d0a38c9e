"""Metrics of several labels per sample, as statistics of their stacked evidence (numpy, no torch).

Evidence is `truth` [n, l] (1, 0, or NaN where unknown) and `probability` [n, l]. A label whose known truth has one
side only has no AUROC; one without positives has neither AUPRC, F1 nor recall: these are NaN, and means over labels
leave them out. Everything here is called once per bootstrap draw.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import rankdata

from components.core.metrics.crg import crg
from components.core.metrics.operating_point import OPERATING_POINT

Evidence = Mapping[str, NDArray[np.float64]]
PerLabel = Callable[[Evidence], Float[np.ndarray, " l"]]

UNDEFINED = float("nan")


def auroc_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """Area under the ROC curve by ranks (Mann-Whitney), ties counting half."""
    truth, probability = evidence["truth"], evidence["probability"]
    if not np.isnan(truth).any():
        return _auroc(truth == 1, probability)
    columns = [_known(truth[:, label], probability[:, label]) for label in range(truth.shape[1])]
    return np.array([_auroc(y[:, None], p[:, None])[0] for y, p in columns])


def auprc_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """Average precision: precision at every threshold, weighted by the recall it adds."""
    truth, probability = evidence["truth"], evidence["probability"]
    columns = [_known(truth[:, label], probability[:, label]) for label in range(truth.shape[1])]
    return np.array([_average_precision(y, p) for y, p in columns])


def f1_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """2 TP / (2 TP + FP + FN) at the operating point."""
    tp, fp, fn, _ = _counts(evidence)
    return np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), UNDEFINED)


def precision_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """TP / (TP + FP) at the operating point; NaN for a label that was never called present."""
    tp, fp, _, _ = _counts(evidence)
    return _ratio(tp, tp + fp)


def recall_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """TP / (TP + FN) at the operating point."""
    tp, _, fn, _ = _counts(evidence)
    return _ratio(tp, tp + fn)


def accuracy_by_label(evidence: Evidence) -> Float[np.ndarray, " l"]:
    """Share of known labels that are told right at the operating point."""
    tp, fp, fn, tn = _counts(evidence)
    return _ratio(tp + tn, tp + fp + fn + tn)


BY_LABEL: dict[str, PerLabel] = {
    "auroc": auroc_by_label,
    "auprc": auprc_by_label,
    "f1": f1_by_label,
    "precision": precision_by_label,
    "recall": recall_by_label,
    "accuracy": accuracy_by_label,
}


def statistics(labels: Sequence[str]) -> dict[str, Callable[[Evidence], float]]:
    """Every metric as mean over labels (`auroc_macro`), the challenge's CRG, and by label (`auroc:Lung nodule`)."""
    once = {name: _Once(metric) for name, metric in BY_LABEL.items()}
    macro = {f"{name}_macro": partial(_macro, metric) for name, metric in once.items()}
    single = {
        f"{name}:{label}": partial(_single, metric, number)
        for name, metric in once.items()
        for number, label in enumerate(labels)
    }
    return {**macro, "crg": crg_at_operating_point, **single}


class _Once:
    """A metric of all labels that is computed once for the statistics that share one draw's evidence."""

    def __init__(self, metric: PerLabel) -> None:
        self._metric = metric
        self._last: tuple[Evidence, Float[np.ndarray, " l"]] | None = None

    def __call__(self, evidence: Evidence) -> Float[np.ndarray, " l"]:
        if self._last is None or self._last[0] is not evidence:
            self._last = (evidence, self._metric(evidence))
        return self._last[1]


def crg_at_operating_point(evidence: Evidence) -> float:
    """CRG score over all known labels of all samples (`components.core.metrics.crg`)."""
    tp, fp, fn, tn = (float(counts.sum()) for counts in _counts(evidence))
    return crg(tp=tp, fp=fp, fn=fn, decisions=tp + fp + fn + tn)


def macro(values: Float[np.ndarray, " l"]) -> float:
    """Mean over the labels for which a metric is defined."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else UNDEFINED


def _macro(metric: PerLabel, evidence: Evidence) -> float:
    return macro(metric(evidence))


def _single(metric: PerLabel, number: int, evidence: Evidence) -> float:
    return float(metric(evidence)[number])


def _known(
    truth: Float[np.ndarray, " n"], probability: Float[np.ndarray, " n"]
) -> tuple[Bool[np.ndarray, " m"], Float[np.ndarray, " m"]]:
    known = ~np.isnan(truth)
    return truth[known] == 1, probability[known]


def _auroc(present: Bool[np.ndarray, "n l"], probability: Float[np.ndarray, "n l"]) -> Float[np.ndarray, " l"]:
    positives = present.sum(axis=0)
    negatives = len(present) - positives
    ranks = rankdata(probability, axis=0)
    wins = (ranks * present).sum(axis=0) - positives * (positives + 1) / 2
    return _ratio(wins, positives * negatives)


def _average_precision(present: Bool[np.ndarray, " n"], probability: Float[np.ndarray, " n"]) -> float:
    positives = int(present.sum())
    if positives == 0:
        return UNDEFINED
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # equal probabilities share one threshold
    found = np.cumsum(present[order])[last]
    recall = found / positives
    return float(np.sum(np.diff(recall, prepend=0.0) * found / (last + 1)))


def _counts(evidence: Evidence) -> tuple[NDArray[np.float64], ...]:
    """TP, FP, FN, TN [l] over known labels at the operating point."""
    truth, called = evidence["truth"], evidence["probability"] >= OPERATING_POINT
    present, absent = truth == 1, truth == 0
    parts = (present & called, absent & called, present & ~called, absent & ~called)
    return tuple(part.sum(axis=0).astype(np.float64) for part in parts)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(np.shape(part), UNDEFINED), where=whole > 0)
    return ratio
