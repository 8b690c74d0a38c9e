"""Metrics of classes against scikit-learn and torchmetrics; classes that nobody belongs to; speed."""

import time
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from torchmetrics.functional.classification import multiclass_calibration_error

from components.core.metrics import classification as ours

Evidence = dict[str, NDArray[np.float64]]


def draw(seed: int, samples: int = 60, classes: int = 4, skew: float = 1.0) -> Evidence:
    generator = np.random.Generator(np.random.Philox(seed))
    truth = generator.integers(classes, size=samples)
    logits = generator.normal(size=(samples, classes)) * 2 + skew * np.eye(classes)[truth]
    shares = np.exp(logits)
    return {"truth": truth.astype(np.float64), "probability": shares / shares.sum(axis=1, keepdims=True)}


def answers(evidence: Evidence) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return evidence["truth"].astype(np.int64), evidence["probability"].argmax(axis=1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), samples=st.integers(1, 50), classes=st.integers(2, 9))
def test_equal_to_scikit_learn(seed: int, samples: int, classes: int) -> None:
    evidence = draw(seed, samples, classes)
    truth, predicted = answers(evidence)
    present = sorted(set(truth.tolist()))
    every = list(range(classes))
    assert ours.accuracy(evidence) == pytest.approx(sklearn.accuracy_score(truth, predicted))
    counts = ours.counts_of(evidence)
    assert np.array_equal(counts, sklearn.confusion_matrix(truth, predicted, labels=every))
    expected = sklearn.f1_score(truth, predicted, labels=present, average="macro", zero_division=0.0)
    assert ours.f1_macro(evidence) == pytest.approx(expected)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of predicted classes that truth lacks
        expected = sklearn.balanced_accuracy_score(truth, predicted)
    assert ours.balanced_accuracy(evidence) == pytest.approx(expected)
    recall = sklearn.recall_score(truth, predicted, labels=every, average=None, zero_division=np.nan)
    precision = sklearn.precision_score(truth, predicted, labels=every, average=None, zero_division=np.nan)
    np.testing.assert_allclose(ours.recall_by_class(counts), recall)
    np.testing.assert_allclose(ours.precision_by_class(counts), precision)
    assert [ours.recall_of(evidence, number) for number in every] == pytest.approx(recall.tolist(), nan_ok=True)
    assert [ours.precision_of(evidence, number) for number in every] == pytest.approx(precision.tolist(), nan_ok=True)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31), samples=st.integers(1, 200), bins=st.sampled_from([5, 15]))
def test_calibration_error_equals_torchmetrics(seed: int, samples: int, bins: int) -> None:
    evidence = draw(seed, samples)
    probability, truth = torch.from_numpy(evidence["probability"]), torch.from_numpy(evidence["truth"]).long()
    expected = multiclass_calibration_error(probability, truth, num_classes=4, n_bins=bins, norm="l1")
    assert ours.ece(evidence, bins) == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_by_hand() -> None:
    """Three answers of confidence 0.8, two right; one of 0.6, wrong: 3/4 * |0.8 - 2/3| + 1/4 * 0.6."""
    probability = np.array([[0.8, 0.2], [0.8, 0.2], [0.8, 0.2], [0.6, 0.4]])
    evidence = {"truth": np.array([0.0, 0.0, 1.0, 1.0]), "probability": probability}
    assert ours.ece(evidence) == pytest.approx(0.75 * (0.8 - 2 / 3) + 0.25 * 0.6)
    certain = {"truth": np.array([0.0, 1.0]), "probability": np.eye(2)}
    assert ours.ece(certain) == 0


def test_a_class_without_samples_is_left_out_of_means() -> None:
    evidence = {
        "truth": np.array([0.0, 0.0, 1.0, 1.0]),
        "probability": np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]]),
    }
    # Class 2 has no sample. What was taken for it costs class 0 half its recall.
    assert ours.f1_macro(evidence) == pytest.approx((2 / 3 + 1) / 2)
    assert ours.balanced_accuracy(evidence) == pytest.approx(0.75)
    assert np.isnan(ours.recall_of(evidence, 2)) and ours.precision_of(evidence, 2) == 0
    assert np.isnan(ours.f1_by_class(ours.counts_of(evidence))[2])


def test_a_class_that_is_never_found_counts_as_zero() -> None:
    evidence = {"truth": np.array([0.0, 1.0]), "probability": np.array([[0.9, 0.1], [0.9, 0.1]])}
    assert ours.f1_macro(evidence) == pytest.approx((2 / 3 + 0) / 2)
    assert np.isnan(ours.precision_of(evidence, 1)) and ours.recall_of(evidence, 1) == 0


def test_no_samples_leave_everything_undefined() -> None:
    evidence = {"truth": np.zeros(0), "probability": np.zeros((0, 3))}
    for statistic in (ours.accuracy, ours.balanced_accuracy, ours.f1_macro, ours.ece):
        assert np.isnan(statistic(evidence)), statistic.__name__


def test_two_thousand_draws_take_a_moment() -> None:
    evidence = draw(0, samples=100, classes=8)
    before = time.process_time()
    for _ in range(2000):
        ours.f1_macro(evidence)
        ours.ece(evidence)
    assert time.process_time() - before < 1.0
