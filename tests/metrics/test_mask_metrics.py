"""Metrics of masks: hand-made cases, naive oracles, and what is undefined."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from components.core.losses import edges
from components.core.metrics.box import box_iou, component_boxes, tightness
from components.core.metrics.false_positive import false_positive, false_positive_area
from components.core.metrics.overlap import dice, iou
from components.core.metrics.sharpness import edge_band, saliency_sharpness
from components.core.metrics.surface import boundary_f1, nsd, outline

Mask = NDArray[np.bool_]
EMPTY: Mask = np.zeros((20, 30), dtype=bool)


def box(x0: int, y0: int, x1: int, y1: int) -> Mask:
    mask = EMPTY.copy()
    mask[y0:y1, x0:x1] = True
    return mask


def blobs(seed: int) -> Mask:
    generator = np.random.Generator(np.random.Philox(seed))
    return ndimage.gaussian_filter(generator.normal(size=(24, 17)), 2.0) > 0.06


def test_overlap_of_shifted_boxes() -> None:
    truth, shifted = box(4, 4, 14, 14), box(9, 4, 19, 14)
    assert dice(shifted, truth) == pytest.approx(0.5)
    assert iou(shifted, truth) == pytest.approx(1 / 3)
    assert dice(truth, truth) == iou(truth, truth) == nsd(truth, truth) == boundary_f1(truth, truth) == 1


@pytest.mark.parametrize("metric", [dice, iou, nsd, boundary_f1])
def test_empty_truth_is_undefined_and_an_empty_prediction_is_zero(metric: object) -> None:
    assert callable(metric)
    assert math.isnan(metric(box(1, 1, 5, 5), EMPTY))
    assert math.isnan(metric(EMPTY, EMPTY))
    assert metric(EMPTY, box(1, 1, 5, 5)) == 0


def test_false_positives_are_judged_where_truth_is_empty_only() -> None:
    assert false_positive(box(0, 0, 3, 2), EMPTY) == 1
    assert false_positive_area(box(0, 0, 3, 2), EMPTY) == pytest.approx(6 / 600)
    assert false_positive(EMPTY, EMPTY) == false_positive_area(EMPTY, EMPTY) == 0
    assert math.isnan(false_positive(EMPTY, box(0, 0, 3, 2)))
    assert math.isnan(false_positive_area(EMPTY, box(0, 0, 3, 2)))


@pytest.mark.parametrize(("shift", "near"), [(1, True), (2, True), (3, False)])
def test_two_pixels_are_near_and_three_are_not(shift: int, near: bool) -> None:
    truth, moved = box(5, 0, 15, 20), box(5 + shift, 0, 15 + shift, 20)
    assert (nsd(moved, truth) == 1) is near
    assert (boundary_f1(moved, truth) == 1) is near


def naive_surface(predicted: Mask, truth: Mask, tolerance: float) -> tuple[float, float]:
    """All pairs of outline pixels."""
    cross = ndimage.generate_binary_structure(2, 1)
    ours = np.argwhere(predicted & ~ndimage.binary_erosion(predicted, cross))
    theirs = np.argwhere(truth & ~ndimage.binary_erosion(truth, cross))
    distance = np.linalg.norm(ours[:, None] - theirs[None], axis=2)
    near_truth, near_ours = distance.min(axis=1) <= tolerance, distance.min(axis=0) <= tolerance
    precision, recall = near_truth.mean(), near_ours.mean()
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return (near_truth.sum() + near_ours.sum()) / (len(ours) + len(theirs)), float(f1)


@settings(max_examples=40, deadline=None)
@given(first=st.integers(0, 500), second=st.integers(501, 999), tolerance=st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.0]))
def test_surface_metrics_equal_the_naive_ones(first: int, second: int, tolerance: float) -> None:
    predicted, truth = blobs(first), blobs(second)
    if not predicted.any() or not truth.any():
        return
    surface, f1 = naive_surface(predicted, truth, tolerance)
    assert nsd(predicted, truth, tolerance) == pytest.approx(surface, abs=1e-12)
    assert boundary_f1(predicted, truth, tolerance) == pytest.approx(f1, abs=1e-12)
    assert nsd(predicted, truth, tolerance) == pytest.approx(nsd(truth, predicted, tolerance))
    assert 0 <= iou(predicted, truth) <= dice(predicted, truth) <= 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what MONAI's import warns about is not ours
def test_nsd_equals_monai() -> None:
    metrics = pytest.importorskip("monai.metrics")
    for seed in range(8):
        predicted, truth = blobs(seed), blobs(seed + 100)
        pair = [torch.from_numpy(np.stack([~mask, mask])[None].astype(np.float32)) for mask in (predicted, truth)]
        oracle = metrics.compute_surface_dice(*pair, class_thresholds=[2.0]).item()
        assert nsd(predicted, truth) == pytest.approx(oracle, abs=1e-6)


def test_the_outline_counts_the_frame_as_background() -> None:
    assert outline(np.ones((4, 5), dtype=bool)).sum() == 4 * 5 - 2 * 3


def test_boxes_of_components() -> None:
    truth = box(2, 3, 8, 6) | box(20, 10, 30, 20)
    assert sorted(component_boxes(truth).tolist()) == [[2, 3, 8, 6], [20, 10, 30, 20]]
    assert component_boxes(EMPTY).shape == (0, 4)


def test_box_iou_and_tightness() -> None:
    truth = box(5, 5, 15, 15)
    wide = np.array([[5, 5, 25, 15]])
    assert box_iou(wide, truth) == pytest.approx(0.5)
    assert tightness(wide, truth) == pytest.approx(0.5)
    small = np.array([[6, 6, 11, 11]])
    assert box_iou(small, truth) == pytest.approx(0.25)
    assert tightness(small, truth) == 1
    two = truth | box(20, 0, 25, 4)
    assert box_iou(component_boxes(two), two) == 1
    none = np.zeros((0, 4), dtype=np.int64)
    assert box_iou(none, truth) == 0
    assert math.isnan(tightness(none, truth))
    assert math.isnan(box_iou(wide, EMPTY))
    assert math.isnan(tightness(wide, EMPTY))


def test_sharpness_is_greater_for_a_steeper_edge() -> None:
    truth = box(8, 6, 20, 15)
    steep = saliency_sharpness(truth.astype(np.float64), truth)
    blurred = saliency_sharpness(ndimage.gaussian_filter(truth.astype(np.float64), 2.0), truth)
    assert steep > 3 * blurred > 0
    assert math.isnan(saliency_sharpness(np.zeros(EMPTY.shape), EMPTY))
    assert math.isnan(saliency_sharpness(np.zeros(EMPTY.shape), ~EMPTY))


@pytest.mark.parametrize("seed", range(4))
def test_band_and_laplacian_are_those_of_the_loss(seed: int) -> None:
    truth = blobs(seed)
    probability = np.random.Generator(np.random.Philox(seed)).random(truth.shape)
    band = edges.edge_band(torch.from_numpy(truth[None].astype(np.float32)))[0].numpy()
    second = edges.laplacian(torch.from_numpy(probability[None]))[0].numpy()
    np.testing.assert_array_equal(edge_band(truth), band)
    assert saliency_sharpness(probability, truth) == pytest.approx(float(np.abs(second)[band].mean()))
