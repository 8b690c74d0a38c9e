"""Predictions of freqmedclip judged at native resolution."""

import math

import cv2
import numpy as np
import pytest
import torch
from judging import MODEL, ONE, drawn, square, synthetic, task
from numpy.typing import NDArray
from torch import Tensor

from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.recipes.freqmedclip.data import prompts_of
from components.recipes.freqmedclip.evaluation import score
from components.recipes.freqmedclip.model_config import Prompting
from components.recipes.freqmedclip.pictures import PREDICTION, SIDE, TRUTH, panels, resized, with_heat, with_outline
from components.recipes.freqmedclip.scoring import find_target, prompt_boxes

LESION = ("dice", "iou", "nsd", "boundary_f1", "prompt_box_iou", "prompt_box_tightness", "saliency_sharpness")
EMPTY = ("false_positive", "false_positive_area")
SIZE = 192
"""A multiple of 48 and of 64, so that maps of native masks are exact."""


@pytest.fixture(scope="module")
def pictures_of_two(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return synthetic(tmp_path_factory.mktemp("two") / "data")


@pytest.fixture(scope="module")
def one_target(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Squares and, in a third of the cases, nothing."""
    masks = [square(4 + 2 * n, 8 + 3 * n) if n % 3 else np.zeros((48, 64), np.uint8) for n in range(12)]
    return drawn(tmp_path_factory.mktemp("one"), masks, ONE)


def cases(dataset: Dataset, empty: bool) -> list[str]:
    ids = [row.id for split in dataset.splits for row in dataset.rows(split)]
    return [case for case in ids if find_target(dataset, case).truth.any() != empty]


def as_map(mask: NDArray[np.bool_]) -> Tensor:
    """A native mask as a square map of which a bilinear resize gives the mask back."""
    tall = np.repeat(mask, SIZE // mask.shape[0], axis=0)
    return torch.from_numpy(np.repeat(tall, SIZE // mask.shape[1], axis=1).astype(np.float32))


def scores(dataset: Dataset, sample: str, predicted: dict[str, Tensor], mask: str | None = None) -> dict[str, float]:
    decision = {"mask": mask} if mask else {}
    return dict(score(dataset, sample, predicted, decision, prompting=Prompting()).scores)


def test_the_truth_itself_scores_one(one_target: Dataset) -> None:
    case = cases(one_target, empty=False)[0]
    found = scores(one_target, case, {"saliency": as_map(find_target(one_target, case).truth)})
    for name in LESION[:-1]:
        assert found[name] == 1.0, name
    assert all(math.isnan(found[name]) for name in EMPTY)


def test_a_shifted_mask_scores_by_hand(one_target: Dataset) -> None:
    case = cases(one_target, empty=False)[0]
    truth = find_target(one_target, case).truth
    shifted = np.roll(truth, 6, axis=1)  # half of the 12 px square
    found = scores(one_target, case, {"saliency": as_map(shifted)})
    assert found["dice"] == pytest.approx(0.5)
    assert found["iou"] == found["prompt_box_iou"] == pytest.approx(1 / 3)
    assert found["prompt_box_tightness"] == pytest.approx(0.5)
    assert 0 < found["nsd"] < 1
    assert 0 < found["boundary_f1"] < 1


@pytest.mark.parametrize(("chosen", "dice"), [("sam", 1.0), ("mean", 1.0), ("saliency", 0.0), (None, 0.0)])
def test_the_decision_chooses_the_mask_and_boxes_stay_those_of_the_saliency(
    one_target: Dataset, chosen: str | None, dice: float
) -> None:
    case = cases(one_target, empty=False)[0]
    truth = find_target(one_target, case).truth
    wrong = np.roll(truth, 20, axis=1)
    predicted = {"saliency": as_map(wrong), "sam": as_map(truth), "mean": as_map(truth)}
    found = scores(one_target, case, predicted, chosen)
    assert found["dice"] == dice
    assert found["prompt_box_iou"] == 0.0


def test_a_map_that_was_not_predicted_is_named(one_target: Dataset) -> None:
    case = cases(one_target, empty=False)[0]
    with pytest.raises(BadInput, match="sam"):
        scores(one_target, case, {"saliency": torch.zeros(8, 8)}, "sam")


def test_empty_truth_is_judged_by_false_positives_alone(one_target: Dataset) -> None:
    case = cases(one_target, empty=True)[0]
    nothing = scores(one_target, case, {"saliency": torch.zeros(SIZE, SIZE)})
    assert nothing["false_positive"] == nothing["false_positive_area"] == 0.0
    quarter = torch.zeros(SIZE, SIZE)
    quarter[: SIZE // 2, : SIZE // 2] = 1
    something = scores(one_target, case, {"saliency": quarter})
    assert something["false_positive"] == 1.0
    assert something["false_positive_area"] == 0.25
    assert all(math.isnan(something[name]) for name in LESION)


def test_nothing_predicted_on_a_lesion_scores_zero_and_has_no_box(one_target: Dataset) -> None:
    found = scores(one_target, cases(one_target, empty=False)[0], {"saliency": torch.zeros(SIZE, SIZE)})
    assert [found[name] for name in LESION[:5]] == [0.0] * 5
    assert math.isnan(found["prompt_box_tightness"])


def test_a_steeper_saliency_is_sharper(one_target: Dataset) -> None:
    case = cases(one_target, empty=False)[0]
    steep = as_map(find_target(one_target, case).truth)
    soft = torch.from_numpy(cv2.GaussianBlur(steep.numpy(), (0, 0), 12))
    sharp, blurred = (scores(one_target, case, {"saliency": one})["saliency_sharpness"] for one in (steep, soft))
    assert sharp > 3 * blurred > 0


def test_ids_are_those_of_the_examples_and_prompts_tell_targets_apart(pictures_of_two: Dataset) -> None:
    prompts = prompts_of(pictures_of_two)
    ids = task().examples(pictures_of_two, "test").ids
    assert len(ids) == 2 * len(pictures_of_two.rows("test")) > 0
    for sample in ids:
        target = find_target(pictures_of_two, sample)
        mask = np.asarray(pictures_of_two.array(sample.rpartition("#")[0], "mask"))
        np.testing.assert_array_equal(target.truth, mask == int(sample[-1]))
        assert target.label == prompts[int(sample[-1])]
        found = score(
            pictures_of_two, sample, {"saliency": torch.zeros(8, 8)}, {}, prompting=Prompting(), pictures=False
        )
        assert (found.id, found.label, found.group, found.pictures) == (sample, target.label, target.group, {})
        assert found.group == pictures_of_two.row(sample.rpartition("#")[0]).group


def test_one_target_is_labelled_by_its_stratum(one_target: Dataset) -> None:
    assert find_target(one_target, "case-1").label == "tissue"


@pytest.mark.parametrize("sample", ["nobody", "case-1#1", ""])
def test_an_unknown_sample_is_an_error(one_target: Dataset, sample: str) -> None:
    with pytest.raises(BadInput, match="no sample"):
        find_target(one_target, sample)


@pytest.mark.parametrize("sample", ["synthetic-0000", "synthetic-0000#3", "synthetic-0000#"])
def test_an_unknown_target_is_an_error(pictures_of_two: Dataset, sample: str) -> None:
    with pytest.raises(BadInput, match="no sample"):
        find_target(pictures_of_two, sample)


def test_boxes_are_stretched_to_a_picture_of_other_proportions() -> None:
    salient = np.zeros((10, 10), dtype=bool)
    salient[2:5, 3:8] = True
    salient[8, 0] = True
    one = prompt_boxes(salient, Prompting(components=1), 40, 80)
    assert one.tolist() == [[24, 8, 64, 20]]
    assert prompt_boxes(salient, Prompting(components=2), 40, 80).tolist() == [[24, 8, 64, 20], [0, 32, 8, 36]]
    assert prompt_boxes(np.zeros((10, 10), dtype=bool), Prompting(), 40, 80).shape == (0, 4)


def test_the_model_s_own_maps_can_be_judged(pictures_of_two: Dataset) -> None:
    judged = task()
    model = judged.build_model(0).eval()
    examples = judged.examples(pictures_of_two, "test")
    batch = examples.load([0, 1], [(), ()], frozenset({"image", "sam_image", "prompt"}))
    with torch.no_grad():
        text = model.clip.text(model.clip.tokenise(examples.prompts))[batch["prompt"]]
        features = {"prompt": text, "sam:embedding": model.sam.embed(batch["sam_image"])}
        predicted = judged.predict(model, batch, features)
    for place in range(2):
        one = {name: value[place] for name, value in predicted.items()}
        for mask in ("saliency", "sam", "mean"):
            assert one[mask].shape == (MODEL.image_size,) * 2
            found = score(
                pictures_of_two, examples.ids[place], one, {"mask": mask}, prompting=MODEL.prompting, pictures=True
            )
            assert set(found.scores) == {*LESION, *EMPTY}
            assert list(found.pictures) == ["image + truth", "saliency", "prediction"]


def holds(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.bool_]:
    return np.asarray((picture == colour).all(axis=-1))


def test_panels_show_truth_saliency_and_prediction() -> None:
    image = np.full((96, 128, 3), 90, np.uint8)
    truth, predicted = square(20, 30, 24, (96, 128)) > 0, square(50, 80, 24, (96, 128)) > 0
    found = panels(image, truth, predicted, predicted.astype(np.float32))
    assert {picture.shape for picture in found.values()} == {(192, 256, 3)}
    asked, answered = found["image + truth"], found["prediction"]
    assert holds(asked, TRUTH)[40:88, 60:108].any()
    assert not holds(asked, PREDICTION).any()
    assert holds(answered, TRUTH)[40:88, 60:108].any()
    assert holds(answered, PREDICTION)[100:148, 160:208].any()
    assert not holds(answered, PREDICTION)[:88].any()
    heat = found["saliency"].astype(int)
    assert heat[120, 180].tolist() != heat[20, 20].tolist()
    assert heat[120, 180].sum() > heat[20, 20].sum()
    assert "saliency" not in panels(image, truth, predicted)
    assert (image == 90).all()


def test_the_prediction_and_the_truth_both_show_where_they_agree() -> None:
    mask = square(20, 30, 24, (96, 128)) > 0
    picture = panels(np.zeros((96, 128, 3), np.uint8), mask, mask)["prediction"]
    assert holds(picture, PREDICTION).sum() > 40
    assert holds(picture, TRUTH).sum() > 40


@pytest.mark.parametrize("shape", [(512, 1024), (1024, 300), (256, 256), (50, 40), (129, 100)])
def test_panels_are_small_and_keep_their_proportions(shape: tuple[int, int]) -> None:
    height, width = resized(np.zeros((*shape, 3), np.uint8)).shape[:2]
    assert SIDE / 2 < max(height, width) <= SIDE
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.01)


@pytest.mark.parametrize(("side", "y", "x"), [(1024, 601, 403), (64, 38, 25)])
def test_a_lesion_of_one_pixel_is_drawn_where_it_is(side: int, y: int, x: int) -> None:
    mask = np.zeros((side, side), dtype=bool)
    mask[y, x] = True
    rows, columns = np.nonzero(with_outline(np.zeros((256, 256, 3), np.uint8), mask, TRUTH, 2).any(axis=-1))
    assert abs(rows.mean() - (256 / side * (y + 0.5) - 0.5)) < 1
    assert abs(columns.mean() - (256 / side * (x + 0.5) - 0.5)) < 1


def test_heat_depends_on_the_probability_alone() -> None:
    """No stretching of each map to its own range: a weak saliency looks weak."""
    image = np.zeros((16, 16, 3), np.uint8)
    weak, strong = (with_heat(image, np.full((8, 8), level, np.float32)) for level in (0.1, 0.9))
    assert strong[0, 0].astype(int).sum() > weak[0, 0].astype(int).sum() + 50
