"""Metrics of several labels per sample, as statistics of their stacked evidence (numpy, no torch).

Evidence is `truth` [n, l] (1, 0, or NaN where unknown) and `probability` [n, l]. A label whose known truth has one
side only has no AUROC; one without positives has neither AUPRC, F1 nor recall: these are NaN, and means over labels
leave them out. Everything here is called once per bootstrap draw.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.stats import rankdata

from components.core.metrics.crg import crg
from components.core.metrics.operating_point import OPERATING_POINT

Evidence = Mapping[str, NDArray[np.float64]]
Counts = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""TP, FP, FN, TN by label, over the known ones at the operating point."""

PerLabel = Callable[[Evidence], Float[np.ndarray, " l"]]

T = TypeVar("T")

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
    if not np.isnan(truth).any():
        return _average_precision(truth == 1, probability)
    columns = [_known(truth[:, label], probability[:, label]) for label in range(truth.shape[1])]
    return np.array([_average_precision(y[:, None], p[:, None])[0] for y, p in columns])


def f1_by_label(counts: Counts) -> Float[np.ndarray, " l"]:
    """2 TP / (2 TP + FP + FN) at the operating point."""
    tp, fp, fn, _ = counts
    return np.where(tp + fn > 0, _ratio(2 * tp, 2 * tp + fp + fn), UNDEFINED)


def precision_by_label(counts: Counts) -> Float[np.ndarray, " l"]:
    """TP / (TP + FP) at the operating point; NaN for a label that was never called present."""
    tp, fp, _, _ = counts
    return _ratio(tp, tp + fp)


def recall_by_label(counts: Counts) -> Float[np.ndarray, " l"]:
    """TP / (TP + FN) at the operating point."""
    tp, _, fn, _ = counts
    return _ratio(tp, tp + fn)


def accuracy_by_label(counts: Counts) -> Float[np.ndarray, " l"]:
    """Share of known labels that are told right at the operating point."""
    tp, fp, fn, tn = counts
    return _ratio(tp + tn, tp + fp + fn + tn)


FROM_COUNTS: dict[str, Callable[[Counts], Float[np.ndarray, " l"]]] = {
    "f1": f1_by_label,
    "precision": precision_by_label,
    "recall": recall_by_label,
    "accuracy": accuracy_by_label,
}


def _counted(metric: Callable[[Counts], Float[np.ndarray, " l"]], count: Callable[[Evidence], Counts]) -> PerLabel:
    return lambda evidence: metric(count(evidence))


def _by_label(count: Callable[[Evidence], Counts]) -> dict[str, PerLabel]:
    """Every metric of all labels at once."""
    counted = {name: _counted(metric, count) for name, metric in FROM_COUNTS.items()}
    return {"auroc": auroc_by_label, "auprc": auprc_by_label, **counted}


def statistics(labels: Sequence[str]) -> dict[str, Callable[[Evidence], float]]:
    """Every metric as mean over labels (`auroc_macro`), the challenge's CRG, and by label (`auroc:Lung nodule`)."""
    counts = _Once(counts_by_label)
    once = {name: _Once(metric) for name, metric in _by_label(counts).items()}
    macro = {f"{name}_macro": partial(_macro, metric) for name, metric in once.items()}
    single = {
        f"{name}:{label}": partial(_single, metric, number)
        for name, metric in once.items()
        for number, label in enumerate(labels)
    }
    return {**macro, "crg": partial(_crg, counts), **single}


class _Once(Generic[T]):
    """Something that is computed once for the statistics that share one draw's evidence."""

    def __init__(self, compute: Callable[[Evidence], T]) -> None:
        self._compute = compute
        self._last: tuple[Evidence, T] | None = None

    def __call__(self, evidence: Evidence) -> T:
        if self._last is None or self._last[0] is not evidence:
            self._last = (evidence, self._compute(evidence))
        return self._last[1]


def _crg(count: Callable[[Evidence], Counts], evidence: Evidence) -> float:
    """CRG score over all known labels of all samples (`components.core.metrics.crg`)."""
    tp, fp, fn, tn = (float(counts.sum()) for counts in count(evidence))
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


def _average_precision(present: Bool[np.ndarray, "n l"], probability: Float[np.ndarray, "n l"]) -> NDArray[np.float64]:
    """Mean over the positives of the precision at each one's probability; equal probabilities share one threshold."""
    if not len(present):
        return np.full(present.shape[1], UNDEFINED)
    order = np.argsort(-probability, axis=0, kind="stable")
    ranked, positive = (np.take_along_axis(values, order, axis=0) for values in (probability, present))
    last = np.vstack([ranked[:-1] != ranked[1:], np.ones((1, ranked.shape[1]), bool)])
    places = np.where(last, np.arange(len(last))[:, None], len(last))
    shared = np.minimum.accumulate(places[::-1], axis=0)[::-1]  # of each place: the last of its equals
    precision = np.take_along_axis(np.cumsum(positive, axis=0), shared, axis=0) / (shared + 1)
    return _ratio((precision * positive).sum(axis=0), positive.sum(axis=0))


def counts_by_label(evidence: Evidence) -> Counts:
    """TP, FP, FN, TN [l] over known labels at the operating point."""
    truth, called = evidence["truth"], evidence["probability"] >= OPERATING_POINT
    present, absent = truth == 1, truth == 0
    parts = (present & called, absent & called, present & ~called, absent & ~called)
    tp, fp, fn, tn = (part.sum(axis=0).astype(np.float64) for part in parts)
    return tp, fp, fn, tn


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full(np.shape(part), UNDEFINED), where=whole > 0)
    return ratio


BY_LABEL: Mapping[str, PerLabel] = _by_label(counts_by_label)
