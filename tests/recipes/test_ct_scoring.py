"""ct_abnormality's judgement: scores and evidence of a volume, its pictures, and yardsticks."""

import math

import numpy as np
import pytest
import torch
from ct_volumes import NAMES, Made, volumes

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.metrics.multilabel import statistics
from components.core.metrics.statistic import judged
from components.recipes.contract import CasePrediction
from components.recipes.ct_abnormality.augment_config import CtAugment
from components.recipes.ct_abnormality.baselines import HounsfieldHistogram, Prevalence, histogram, yardsticks
from components.recipes.ct_abnormality.measures import presence
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.pictures import answer, panels
from components.recipes.ct_abnormality.scoring import findings, judge
from components.recipes.ct_abnormality.task import CtTask


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return volumes(tmp_path_factory.mktemp("volumes"), Made(count=60), calibration=0.1)


def macro(cases: list[CasePrediction]) -> float:
    found = judged([case.id for case in cases], [case.group for case in cases], [case.evidence for case in cases])
    return statistics(NAMES)["auroc_macro"](found.arrays)


def known_and_partly(dataset: Dataset) -> tuple[str, str]:
    stored = {row.id: np.asarray(dataset.array(row.id, "labels")) for row in dataset.rows("test")}
    return (
        next(name for name, labels in stored.items() if not np.isnan(labels).any()),
        next(name for name, labels in stored.items() if np.isnan(labels).any()),
    )


def test_one_volume(dataset: Dataset) -> None:
    whole, partly = known_and_partly(dataset)
    truth = np.asarray(dataset.array(whole, "labels"))
    sure = np.where(truth == 1, 0.8, 0.2)
    case = judge(dataset, whole, sure, NAMES)
    assert case.scores == pytest.approx({"log_loss": -math.log(0.8), "probability_of_truth": 0.8, "accuracy": 1.0})
    assert case.evidence["truth"].tolist() == truth.tolist() and case.label == "all"
    other = judge(dataset, partly, np.full(3, 0.4), NAMES)
    assert np.isnan(other.evidence["truth"]).sum() == 1 and not math.isnan(other.scores["log_loss"])


def test_a_certain_mistake_costs_a_finite_number(dataset: Dataset) -> None:
    whole, _ = known_and_partly(dataset)
    wrong = 1 - np.asarray(dataset.array(whole, "labels"))
    assert judge(dataset, whole, wrong, NAMES).scores["log_loss"] == pytest.approx(15.94, abs=0.01)


def test_what_views_differ_by_is_told_by_label(dataset: Dataset) -> None:
    whole, _ = known_and_partly(dataset)
    scores = judge(dataset, whole, np.full(3, 0.5), NAMES, variance=np.array([0.1, 0.2, 0.3])).scores
    assert scores["variance"] == pytest.approx(0.2) and scores["variance:dark"] == 0.2


def test_the_task_passes_the_variance_of_views_on(dataset: Dataset) -> None:
    values = ModelConfig.model_validate({"backbone": {"name": "resnet10t"}, "image_size": 32, "slices": 2})
    whole, _ = known_and_partly(dataset)
    predicted = {"probability": torch.full((3,), 0.5), "probability:variance": torch.full((3,), 0.25)}
    case = CtTask(values, CtAugment(), dataset.card).score(dataset, whole, predicted, {}, pictures=False)
    assert case.scores["variance:square"] == 0.25


def test_another_datasets_volumes_are_refused(dataset: Dataset) -> None:
    with pytest.raises(BadInput, match="no labelled volume"):
        judge(dataset, "elsewhere", np.ones(3) / 2, NAMES)
    with pytest.raises(BadInput, match="has 3 labels, the model 2"):
        judge(dataset, dataset.rows("test")[0].id, np.ones(2) / 2, NAMES[:2])


def test_soft_labels_are_judged_by_their_half() -> None:
    assert presence(np.array([0.5, 0.49, 1.0])).tolist() == [1, 0, 1] and np.isnan(presence(np.array([np.nan]))[0])


def test_volumes_without_a_stratum_are_told_by_how_much_they_show() -> None:
    assert findings(np.zeros(18)) == "no abnormality" and findings(np.array([1.0, np.nan])) == "1 abnormality"
    assert findings(np.ones(3)) == "3 abnormalities" and findings(np.ones(9)) == "over 4 abnormalities"


def test_pictures_show_what_was_answered_and_which_slices_told(dataset: Dataset) -> None:
    whole, _ = known_and_partly(dataset)
    telling = np.zeros((6, 3))
    telling[4, 2] = 5.0
    slices = np.zeros((6, 32, 32, 3), np.uint8)
    slices[4] = 255
    shown = panels(slices, np.array([1.0, 0, np.nan]), np.array([0.1, 0.2, 0.9]), NAMES, telling)
    assert list(shown) == ["prediction", "slices that tell of square"]
    tiles = shown["slices that tell of square"]
    assert tiles.shape == (512, 512, 3)
    assert [int(tiles[y, x].max()) for y, x in ((128, 128), (128, 384), (384, 128), (384, 384))] == [0, 0, 0, 255]
    plain = judge(dataset, whole, np.full(3, 0.5), NAMES, pictures=True).pictures
    assert list(plain) == ["prediction"] and answer(slices, np.full(3, 0.5), NAMES).shape[1] == 256
    single = panels(slices[:1, :, :, :1], np.zeros(3), np.full(3, 0.5), NAMES, telling[:1])
    assert all(picture.dtype == np.uint8 and picture.shape[2] == 3 for picture in single.values())


def test_prevalence_answers_every_volume_alike_and_tells_nothing(dataset: Dataset) -> None:
    cases = Prevalence(NAMES).predict(dataset)
    assert [case.id for case in cases] == [row.id for row in dataset.rows("test")]
    stored = np.stack([dataset.array(row.id, "labels") for row in dataset.rows("train")])
    for case in cases:
        np.testing.assert_allclose(case.evidence["probability"], np.nanmean(stored, axis=0), atol=1e-12)
    assert macro(cases) == 0.5


def test_grey_levels_tell_what_they_decide_and_their_operating_point_is_fitted_too(dataset: Dataset) -> None:
    assert [one.name for one in yardsticks(NAMES)] == ["prevalence", "HU histogram"]
    cases = HounsfieldHistogram(NAMES).predict(dataset)
    assert macro(cases) > 0.9
    assert np.mean([case.scores["accuracy"] for case in cases]) > 0.8


def test_a_histogram_knows_no_place() -> None:
    slices = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 2), dtype=np.uint8)
    found = histogram(slices)
    assert found.shape == (64,) and np.square(found).sum() == pytest.approx(2)
    assert np.array_equal(found, histogram(np.ascontiguousarray(slices[::-1, ::-1])))
