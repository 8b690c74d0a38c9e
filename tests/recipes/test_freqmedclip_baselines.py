"""Yardsticks of freqmedclip: fitted per target, judged like the model."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from judging import MODEL, ONE, TWO, drawn, square, synthetic, task

from components.core.baselines.otsu import Otsu
from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.models.clip_config import ClipConfig, UntrainedClip
from components.recipes.contract import Baseline, CasePrediction
from components.recipes.freqmedclip.baselines import (
    M2ibZeroShot,
    MaskBaseline,
    fit_constant_mask,
    fit_otsu,
    untrained_clip,
    yardsticks,
)
from components.recipes.freqmedclip.baselines_config import BaselinesConfig
from components.recipes.freqmedclip.model import build_model
from components.recipes.freqmedclip.model_config import M2ibConfig, ModelConfig, Prompting

M2IB = "m2ib zero-shot (no meaning: random weights)"


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("made-up") / "data")


@pytest.fixture(scope="module")
def two_places(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The dark target always on the left, the bright one always on the right."""
    masks = [square(8 + n % 4, 4) + square(20 + n % 4, 44, side=14, value=2) for n in range(12)]
    return drawn(tmp_path_factory.mktemp("places"), masks, TWO)


def named(dataset: Dataset, name: str, config: ModelConfig = MODEL, seed: int = 0, batch: int = 4) -> Baseline:
    found = yardsticks(BaselinesConfig(m2ib_batch=batch), config, seed, "cpu")
    return next(one for one in found if one.name == name)


def test_m2ib_computes_on_the_device_of_the_stage() -> None:
    assert [one.device for one in task().baselines(0, "cuda:1") if isinstance(one, M2ibZeroShot)] == ["cuda:1"]


@pytest.mark.parametrize("clip", [MODEL.clip, UntrainedClip()])
def test_m2ib_on_random_weights_says_so(clip: ClipConfig) -> None:
    model = MODEL.model_copy(update={"clip": clip})
    assert M2IB in [one.name for one in yardsticks(BaselinesConfig(), model, seed=0, device="cpu")]


def mean(cases: Sequence[CasePrediction], metric: str = "dice", target: str = "") -> float:
    return float(np.nanmean([case.scores[metric] for case in cases if case.id.endswith(target)]))


def test_the_configured_yardsticks_judge_every_test_sample(made_up: Dataset) -> None:
    found = yardsticks(BaselinesConfig(), MODEL, seed=0, device="cpu")
    assert [one.name for one in found] == ["all_foreground", "constant_mask", "otsu", M2IB]
    ids = task().examples(made_up, "test").ids
    for one in found:
        assert [case.id for case in one.predict(made_up)] == ids
    fewer = BaselinesConfig(names=("otsu", "all_foreground"))
    assert [one.name for one in yardsticks(fewer, MODEL, seed=0, device="cpu")] == ["otsu", "all_foreground"]
    assert yardsticks(BaselinesConfig(names=()), MODEL, seed=0, device="cpu") == []


def test_all_foreground_scores_what_areas_say(made_up: Dataset) -> None:
    for case in named(made_up, "all_foreground").predict(made_up):
        picture, value = case.id.split("#")
        share = float((np.asarray(made_up.array(picture, "mask")) == int(value)).mean())
        assert case.scores["dice"] == pytest.approx(2 * share / (share + 1))
        assert math.isnan(case.scores["saliency_sharpness"])


def test_no_single_threshold_finds_the_synthetic_lesions(made_up: Dataset) -> None:
    assert mean(named(made_up, "otsu").predict(made_up)) < 0.4


def test_otsu_takes_each_target_s_own_side(two_places: Dataset) -> None:
    assert [fit_otsu(two_places, value) for value in (1, 2)] == [Otsu(bright=False), Otsu(bright=True)]


def test_the_constant_mask_is_each_target_s_own_place(two_places: Dataset) -> None:
    cases = named(two_places, "constant_mask").predict(two_places)
    assert min(mean(cases, target="#1"), mean(cases, target="#2")) > 0.8
    assert mean(cases, "prompt_box_iou") > 0.7
    assert {case.label for case in cases} == set(TWO.values())


def test_the_constant_mask_knows_places_and_nothing_else(tmp_path: Path) -> None:
    here = drawn(tmp_path / "here", [square(8, 4) for _ in range(12)], ONE)
    there = drawn(tmp_path / "there", [square(30, 44) for _ in range(12)], ONE)
    baseline = MaskBaseline("fitted here", lambda dataset, value: fit_constant_mask(here, value), Prompting())
    assert mean(baseline.predict(here)) > 0.9
    assert mean(baseline.predict(there)) == 0.0


def test_a_target_that_val_lacks_is_fitted_on_train_with_a_warning(
    two_places: Dataset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    usual = fit_constant_mask(two_places, 1)
    rows = {split: two_places.rows(split) for split in ("train", "val")}
    monkeypatch.setattr(two_places, "rows", lambda split: [] if split == "val" else rows[split])
    fitted = fit_constant_mask(two_places, 1)
    assert "value 1" in caplog.text
    np.testing.assert_array_equal(fitted.mean, usual.mean)
    assert fitted.threshold > 0


@pytest.mark.parametrize("fit", [fit_constant_mask, fit_otsu])
def test_a_target_that_train_lacks_is_an_error(two_places: Dataset, fit: object) -> None:
    with pytest.raises(BadInput, match="holds any foreground"):
        fit(two_places, 3)  # type: ignore[operator]


def test_m2ib_is_a_function_of_the_seed_and_not_of_the_batch(made_up: Dataset) -> None:
    def scores(seed: int = 0, batch: int = 4) -> np.ndarray:
        cases = named(made_up, M2IB, seed=seed, batch=batch).predict(made_up)
        return np.asarray([case.scores["saliency_sharpness"] for case in cases])

    first = scores()
    np.testing.assert_array_equal(scores(), first)
    np.testing.assert_allclose(scores(batch=3), first, rtol=1e-3)
    assert not np.allclose(scores(seed=1), first, rtol=1e-3)


def test_m2ib_reads_the_prompt(made_up: Dataset) -> None:
    cases = {case.id: case.scores["saliency_sharpness"] for case in named(made_up, M2IB).predict(made_up)}
    pictures = {sample.split("#")[0] for sample in cases}
    assert all(cases[f"{picture}#1"] != cases[f"{picture}#2"] for picture in pictures)


def test_m2ib_names_a_block_that_is_not_there(made_up: Dataset) -> None:
    config = MODEL.model_copy(update={"m2ib": M2ibConfig(block=9)})
    with pytest.raises(BadInput, match="no vision block 9"):
        named(made_up, M2IB, config).predict(made_up)


def test_a_flat_map_is_no_mask(made_up: Dataset) -> None:
    baseline = named(made_up, M2IB)
    assert isinstance(baseline, M2ibZeroShot)
    target = "synthetic-0000#1"
    from components.recipes.freqmedclip.scoring import find_target

    flat = baseline._answer(find_target(made_up, target), np.full((4, 4), 7, np.float32))
    assert not flat.mask.any()
    assert len(flat.boxes) == 0
    peaked = np.full((4, 4), 7, np.float32)
    peaked[1, 2] = 9
    answer = baseline._answer(find_target(made_up, target), peaked)
    height, width = answer.mask.shape
    assert answer.mask[int(height * 0.375), int(width * 0.625)]
    assert 0 < answer.mask.mean() < 0.3


def test_m2ib_uses_the_recipe_s_own_clip() -> None:
    ours, theirs = untrained_clip(MODEL, 5).state_dict(), build_model(MODEL, 5).clip.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    other = untrained_clip(MODEL, 6).state_dict()
    assert any(not torch.equal(ours[name], other[name]) for name in ours)
