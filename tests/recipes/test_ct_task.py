"""ct_abnormality's task: its volumes, losses of unknown and mixed labels, its operating point and its judgement."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ct_volumes import NAMES, Made, rows_of, volumes

from components.core.augment.blending import mix_pixels, pair_up
from components.core.augment.mixing import Mix
from components.core.augment.volume import VolumeAugment, resize_slices
from components.core.data.dataset import Dataset
from components.core.engine.order import fresh_key
from components.core.engine.task import Fits
from components.core.errors import BadInput
from components.core.losses.multilabel import asymmetric_loss, multilabel_bce
from components.core.metrics.multilabel import BY_LABEL
from components.recipes.ct_abnormality.augment_config import CtAugment
from components.recipes.ct_abnormality.examples import VolumeExamples
from components.recipes.ct_abnormality.model_config import ModelConfig
from components.recipes.ct_abnormality.objectives import Objectives
from components.recipes.ct_abnormality.operating import decision_of, shifted, shifts_in
from components.recipes.ct_abnormality.slices import as_rgb, places
from components.recipes.ct_abnormality.task import CtTask
from components.recipes.ct_abnormality.terms import loss_terms, present_weights

NARROW = {"name": "resnet10t", "arguments": {"channels": [8, 8, 16, 16], "stem_width": 8}}
ALL = {"asl": 1.0, "bce": 0.5, "focal": 2.0}
BOTH = frozenset({"image", "labels"})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return volumes(tmp_path_factory.mktemp("volumes"))


def task(dataset: Dataset, augment: CtAugment | None = None, **model: Any) -> CtTask:
    values = ModelConfig.model_validate({"backbone": NARROW, "image_size": 32, "slices": 4, **model})
    return CtTask(values, augment or CtAugment(), dataset.card)


def test_volumes_are_loaded_with_their_labels(dataset: Dataset) -> None:
    examples = task(dataset).examples(dataset, "train")
    batch = examples.load([2, 0], [(), (0, 1)], BOTH)
    assert batch["row"].tolist() == [2, 0] and batch["image"].shape == (2, 4, 3, 32, 32)
    assert float(batch["image"].min()) >= 0 and float(batch["image"].max()) <= 1
    stored = np.asarray(dataset.array(examples.ids[2], "slices"))[places(6, 4)]
    assert torch.equal(batch["image"][0], torch.from_numpy(stored).permute(0, 3, 1, 2).float() / 255)
    assert np.array_equal(batch["labels"][0].numpy(), dataset.array(examples.ids[2], "labels"), equal_nan=True)
    again = examples.load([0], [(0, 1)], frozenset({"image"}))
    assert torch.equal(again["image"][0], batch["image"][1]) and "labels" not in again
    with pytest.raises(ValueError, match="unknown fields"):
        examples.load([0], [()], frozenset({"mask"}))


def test_slices_are_spread_over_the_volume_and_wander_within_their_part() -> None:
    assert places(32, 32) == places(32, 32, 0, (1, 2)) == list(range(32))
    assert places(6, 3) == [1, 3, 5] and places(2, 4) == [0, 0, 1, 1] and places(1, 3) == [0, 0, 0]
    drawn = [places(40, 4, 0, (1, view)) for view in range(20)]
    assert all(10 * part <= place < 10 * part + 10 for one in drawn for part, place in enumerate(one))
    assert len({tuple(one) for one in drawn}) > 10


def test_one_channel_is_shown_in_all_three() -> None:
    grey = np.arange(8, dtype=np.uint8).reshape(1, 2, 4, 1)
    assert np.array_equal(as_rgb(grey, "a")[..., 2], grey[..., 0])
    with pytest.raises(BadInput, match="5 channels"):
        as_rgb(np.zeros((1, 2, 2, 5), np.uint8), "a")


def test_what_is_seen_enters_the_digest(dataset: Dataset) -> None:
    def digest(slices: int = 4, size: int = 32, rotation: float = 5, count: int = 4) -> str:
        rows = dataset.rows("train")[:count]
        augment = VolumeAugment(rotation=rotation)
        return VolumeExamples(dataset, rows, slices=slices, size=size, augment=augment).digest

    assert digest() == digest()
    assert len({digest(), digest(slices=5), digest(size=16), digest(rotation=6), digest(count=3)}) == 5


def test_fresh_views_grow_with_the_epochs_and_others_do_not(dataset: Dataset) -> None:
    examples = task(dataset, CtAugment(sizes={0: 16, 2: 24})).examples(dataset, "train")
    sides = [examples.load([0], [fresh_key(0, 0, epoch)], BOTH)["image"].shape[-1] for epoch in range(4)]
    assert sides == [16, 16, 24, 24]
    assert [examples.size_of(key) for key in ((), (0, 0, 1))] == [32, 32]
    with pytest.raises(ValueError, match="grow"):
        CtAugment(sizes={0: 64, 5: 32})


def test_a_volume_is_augmented_as_one_body() -> None:
    slices = np.repeat(np.random.default_rng(0).integers(0, 256, (1, 40, 30, 3), np.uint8), 3, axis=0)
    still = VolumeAugment(noise=0)
    view = still.apply(slices, 32, 0, (1, 2))
    assert view.shape == (3, 32, 32, 3) and (view == view[:1]).all(), "all slices alike"
    assert np.array_equal(view, still.apply(slices, 32, 0, (1, 2)))
    assert not np.array_equal(view, still.apply(slices, 32, 0, (1, 3)))
    assert np.array_equal(still.apply(slices, 32, 0, ()), resize_slices(slices, 32))
    nothing = VolumeAugment(rotation=0, scale=0, shift=0, brightness=0, contrast=0, noise=0)
    assert np.array_equal(nothing.apply(slices, 32, 0, (1, 2)), resize_slices(slices, 32))


def test_left_stays_left_unless_asked_otherwise() -> None:
    body = np.zeros((1, 32, 32, 3), np.uint8)
    body[:, 8:24, 4:12] = 200
    for number in range(30):
        view = VolumeAugment().apply(body, 32, 0, (0, number))[0, :, :, 0].astype(float)
        assert view[:, :16].sum() > view[:, 16:].sum()
    mirrored = VolumeAugment(flip_horizontal=1.0).apply(body, 32, 0, (0, 1))[0, :, :, 0].astype(float)
    assert mirrored[:, :16].sum() < mirrored[:, 16:].sum()


def test_levels_move_within_the_window_and_what_is_outside_repeats_the_border() -> None:
    flat = np.full((1, 16, 16, 3), 100, np.uint8)
    turned = VolumeAugment(rotation=45, brightness=0, contrast=0, noise=0).apply(flat, 16, 0, (3,))
    assert (turned == 100).all()
    levels = {int(VolumeAugment(noise=0).apply(flat, 16, 0, (3, n))[0, 8, 8, 0]) for n in range(40)}
    assert min(levels) >= round((100 - 127.5) * 1.1 + 127.5 - 13) and len(levels) > 5 and max(levels) <= 117


def test_losses_are_those_of_the_papers_per_volume(dataset: Dataset) -> None:
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1.0, 0, 1], [0, 0, 1], [torch.nan, 1, 0], [torch.nan] * 3])
    found = loss_terms(logits[:, None], {"labels": labels}, ALL, Objectives(smoothing=0.1), None)
    soft = labels * 0.9 + 0.05
    torch.testing.assert_close(found["asl"], asymmetric_loss(logits, soft))
    torch.testing.assert_close(found["bce"], 0.5 * multilabel_bce(logits, soft))
    assert all(value[3] == 0 for value in found.values()), "a volume of which nothing is known teaches nothing"
    assert set(loss_terms(logits[:, None], {"labels": labels}, {"asl": 0.0, "bce": 1.0}, Objectives(), None)) == {"bce"}


def test_slices_are_taught_the_labels_of_their_volume(dataset: Dataset) -> None:
    taught = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1.0, 0, torch.nan], [0, 1, 1]])
    found = loss_terms(taught, {"labels": labels}, {"bce": 1.0}, Objectives(), None)["bce"]
    each = torch.stack([multilabel_bce(taught[:, number], labels) for number in range(5)], dim=1)
    torch.testing.assert_close(found, each.mean(dim=1))


def test_mixed_volumes_share_a_box_over_their_slices_and_pay_for_both_labels(dataset: Dataset) -> None:
    found = task(dataset)
    batch = found.examples(dataset, "train").load([0, 1, 2, 3], [()] * 4, BOTH)
    pairing = Mix(mixup=0, cutmix=1.0, per="pair").pairing(0, 0, 0, 4)
    mixed = mix_pixels(pair_up(batch, pairing, range(4), 4), pairing, range(4), found.mixed)
    boxes = pairing.boxes(32, 32)
    assert (boxes[0] == boxes[1]).all() and mixed["mix"][0] == mixed["mix"][1], "one box and weight per pair"
    for row, (top, bottom, left, right) in enumerate(boxes.tolist()):
        other = batch["image"][int(pairing.partners[row])]
        assert torch.equal(mixed["image"][row, :, :, top:bottom, left:right], other[:, :, top:bottom, left:right])
        assert torch.equal(mixed["image"][row, :, :, :top], batch["image"][row, :, :, :top])
    model = found.build_model(0).eval()
    terms = found.objective(model, mixed, {"image": mixed["image"]}, {"asl": 1.0}).terms["asl"]
    logits, share = model(mixed["image"]), mixed["mix"]
    expected = share * asymmetric_loss(logits, mixed["labels"]) + (1 - share) * asymmetric_loss(
        logits, mixed["labels:partner"]
    )
    torch.testing.assert_close(terms, expected)


def test_balanced_weights_come_from_the_train_split(dataset: Dataset) -> None:
    weights = present_weights(Objectives(pos_weight="balanced"), NAMES, dataset.card)
    assert weights is not None
    stored = np.stack([dataset.array(row.id, "labels") for row in dataset.rows("train")])
    expected = [(stored[:, label] == 0).sum() / (stored[:, label] == 1).sum() for label in range(3)]
    assert weights.tolist() == pytest.approx(expected)
    assert present_weights(Objectives(), NAMES, dataset.card) is None
    given = present_weights(Objectives(pos_weight=(1.0, 2.0, 3.0)), NAMES, dataset.card)
    assert given is not None and given.tolist() == [1, 2, 3]
    with pytest.raises(BadInput, match="2 weights for 3 labels"):
        present_weights(Objectives(pos_weight=(1.0, 2.0)), NAMES, dataset.card)


def test_validation_measures_what_prediction_says(dataset: Dataset) -> None:
    found = task(dataset)
    model = found.build_model(0).eval()
    batch = found.examples(dataset, "val").load(range(6), [()] * 6, BOTH)
    with torch.no_grad():
        measured = found.measure(model, batch, {"image": batch["image"]}, ALL)
    predicted = found.predict(model, batch, {"image": batch["image"]})
    torch.testing.assert_close(measured["probability"], predicted["probability"])
    assert predicted["telling"].shape == (6, 4 * 3)
    logits = torch.logit(predicted["probability"])
    torch.testing.assert_close(predicted["telling"].reshape(6, 4, 3).sum(dim=1), logits, rtol=1e-4, atol=1e-5)
    summary = found.summarise(measured)
    assert found.monitor in summary and summary["labels_judged"] == 3
    assert summary["loss"] == pytest.approx(sum(summary[f"loss_{name}"] for name in ALL))
    with pytest.raises(BadInput, match="no validation samples"):
        found.summarise({})


def test_labels_with_one_side_reach_no_mean(dataset: Dataset) -> None:
    truth = torch.tensor([[1.0, 1, torch.nan], [0, 1, torch.nan], [1, 1, torch.nan]])
    probability = torch.tensor([[0.9, 0.5, 0.5], [0.2, 0.1, 0.5], [0.3, 0.2, 0.5]])
    summary = task(dataset).summarise({"truth": truth, "probability": probability, "loss_bce": torch.ones(3)})
    assert summary["auroc_macro"] == 1.0 and summary["labels_judged"] == 1


def test_the_operating_point_is_fitted_once_and_travels_with_the_model(dataset: Dataset) -> None:
    found = task(dataset)
    assert isinstance(found, Fits)
    random = torch.Generator().manual_seed(0)
    truth = (torch.rand(80, 3, generator=random) < 0.4).float()
    probability = (0.1 * truth + 0.1 * torch.rand(80, 3, generator=random)).clamp(0, 1)
    decision = found.fit({"truth": truth, "probability": probability}, "calibration")
    assert decision["operating_point"] == "calibration" and len(decision) == 1 + len(NAMES)
    raw = {"truth": truth.double().numpy(), "probability": probability.double().numpy()}
    moved = {**raw, "probability": shifted(raw["probability"], decision, NAMES)}
    assert (np.nan_to_num(BY_LABEL["f1"](raw)) == 0).all() and (BY_LABEL["f1"](moved) > 0.6).all()
    shifts = np.array([0.1, -1 / 3, 2.5])
    assert shifts_in(decision_of(shifts, NAMES, "val"), NAMES).tolist() == shifts.tolist(), "to the last bit"
    assert shifted(raw["probability"], {}, NAMES) is raw["probability"]
    row = dataset.rows("test")[0].id
    answer = {"probability": torch.tensor([0.12, 0.12, 0.12])}
    plain, judged = (found.score(dataset, row, answer, chosen, False) for chosen in ({}, decision))
    assert (judged.evidence["probability"] > plain.evidence["probability"]).all()


def test_pictures_of_pretraining_are_middle_slices_of_every_volume(dataset: Dataset) -> None:
    pictures = task(dataset).pictures(dataset, ["train", "val"])
    assert list(pictures.ids) == rows_of(dataset, ["train", "val"]) and set(pictures.labels) == {-1}
    assert np.array_equal(pictures.load(1), dataset.array(pictures.ids[1], "slices")[3])


def test_a_dataset_without_labels_is_for_pretraining(dataset: Dataset) -> None:
    bare = CtTask(task(dataset).config, CtAugment(), dataset.card.model_copy(update={"label_names": {}}))
    bare.build_model(0)
    with pytest.raises(BadInput, match="no labels to learn"):
        bare.examples(dataset, "train")


def test_volumes_of_few_slices_and_one_channel_serve_too(tmp_path: Path) -> None:
    small = volumes(tmp_path, Made(slices=2, channels=1, size=40))
    batch = task(small).examples(small, "train").load([0], [(0, 1)], BOTH)
    assert batch["image"].shape == (1, 4, 3, 32, 32)
