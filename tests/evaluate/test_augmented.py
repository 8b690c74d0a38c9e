"""Test-time augmentation of batches: what an exported predictor averages, and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from components.core.augment.joint import Augment
from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.data.dataset import Dataset
from components.core.engine.task import Batch
from components.core.runtime import Cache, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.core.tta import VIEWS, Map, Picture, Tta
from components.evaluate.augmented import average_views
from components.evaluate.systems import Judge
from components.recipes.freqmedclip.task import FreqMedClipTask
from tests.recipes.judging import MODEL, TWO, drawn, square

ALL = Tta(views=tuple(VIEWS))
SCALED = Tta(views=("identity", "rotate_90", "scale_0.9", "scale_1.2"))


def pictures(count: int = 3, side: int = 10) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).random((count, 3, side, side), np.float32))


def pointwise(batch: Batch) -> dict[str, Tensor]:
    """Says the same of a pixel wherever it lies, and of a picture however it is turned."""
    image = batch["image"]
    return {"map": torch.sigmoid(image[:, 0] - image[:, 1]), "probability": image.mean(dim=(2, 3))}


def crooked(batch: Batch) -> dict[str, Tensor]:
    """Depends on where things lie."""
    image = batch["image"]
    ramp = torch.linspace(0, 1, image.shape[-1])
    return {"map": image[:, 0] * ramp, "probability": (image * ramp).mean(dim=(2, 3))}


def test_an_equivariant_model_is_unchanged() -> None:
    batch = {"image": pictures(), "row": torch.arange(3)}
    found, expected = average_views(ALL, batch, pointwise), pointwise(batch)
    assert list(found) == ["map", "probability", "probability:variance"]
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=0)
    torch.testing.assert_close(found["probability:variance"], torch.zeros(3, 3), atol=1e-6, rtol=0)


def test_the_identity_alone_is_the_plain_prediction() -> None:
    batch = {"image": pictures(), "row": torch.arange(3)}
    for name, value in average_views(Tta(), batch, crooked).items():
        assert torch.equal(value, crooked(batch)[name])


@pytest.mark.parametrize("tta", [ALL, SCALED], ids=["symmetries", "scales"])
def test_a_predictor_of_single_pictures_averages_the_same(tta: Tta) -> None:
    """The predictor starts from uint8 pictures and has no torch; evaluation from batches in [0, 1]."""
    images = np.random.default_rng(2).integers(0, 256, (2, 12, 12, 3), np.uint8)
    batch = {"image": torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)}
    found = average_views(tta, batch, crooked)

    def one(shown: Picture, name: str) -> Map:
        single = torch.from_numpy(shown.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255))
        return np.asarray(crooked({"image": single})[name][0].numpy())

    for place, image in enumerate(images):
        for name in ("map", "probability"):
            expected = tta.average(lambda shown, name=name: one(shown, name), image)
            np.testing.assert_allclose(found[name][place].numpy(), expected, atol=1e-5)
    assert not torch.allclose(found["map"], crooked(batch)["map"], atol=1e-3)


def test_what_views_differ_by_is_told_of_numbers_about_whole_pictures() -> None:
    batch = {"image": pictures()}
    found = average_views(Tta(views=("identity", "flip_horizontal")), batch, crooked)
    both = torch.stack([crooked(batch)["probability"], crooked({"image": batch["image"].flip(-1)})["probability"]])
    torch.testing.assert_close(found["probability:variance"], both.var(dim=0, unbiased=False))
    assert "map:variance" not in found and "probability:variance" not in average_views(Tta(), batch, crooked)


def test_every_slice_of_a_volume_is_turned() -> None:
    volume = torch.from_numpy(np.random.default_rng(4).random((2, 5, 3, 8, 8), np.float32))
    seen: list[Tensor] = []

    def predict(shown: Batch) -> dict[str, Tensor]:
        seen.append(shown["image"])
        return {"probability": shown["image"].mean(dim=(1, 3, 4))}

    average_views(Tta(views=("identity", "rotate_90")), {"image": volume}, predict)
    assert torch.equal(seen[1], volume.rot90(1, (-2, -1)))


def test_only_pictures_are_turned() -> None:
    seen: list[Batch] = []
    batch = {"image": pictures(), "prompt": torch.arange(3), "caption": torch.ones(3, 7), "row": torch.arange(3)}

    def predict(shown: Batch) -> dict[str, Tensor]:
        seen.append(shown)
        return {"map": shown["image"][:, 0]}

    average_views(Tta(views=("identity", "flip_horizontal")), batch, predict)
    assert torch.equal(seen[1]["image"], batch["image"].flip(-1))
    for name in ("prompt", "caption", "row"):
        assert torch.equal(seen[1][name], batch[name])


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    masks = [np.maximum(square(4 + n, 4 + n), square(30, 40 - n, value=2)) for n in range(12)]
    return drawn(tmp_path_factory.mktemp("augmented"), masks, TWO)


@pytest.mark.parametrize("cached", [True, False])
def test_a_system_of_averaged_views_stands_beside_the_plain_one(places: Dataset, cached: bool, tmp_path: Path) -> None:
    task = FreqMedClipTask(MODEL, Augment())
    meta = ModelMeta(recipe={}, phase="end_to_end", step=1, decision={"mask": "saliency"}, data_digest=places.digest)
    ModelArtifact.save(tmp_path / "model", dict(task.build_model(7).state_dict()), None, meta)
    runtime = Runtime(device="cpu", progress=False, workers=0, cache=Cache(enabled=cached, dir=tmp_path / "cache"))
    judge = Judge(task, places, 0, runtime, 4, Tracker(runtime, RunLabels("freqmedclip", "evaluate")))
    plain = judge.phase("end_to_end", tmp_path / "model")
    same = judge.augmented(tmp_path / "model", Tta())
    assert (same.name, same.kind, same.views) == ("end_to_end (tta)", "test-time augmentation", ("identity",))
    for one, other in zip(same.cases, plain.cases, strict=True):
        assert one.id == other.id
        for name, value in other.scores.items():
            assert one.scores[name] == pytest.approx(value, rel=1e-4, nan_ok=True), name
    flipped = judge.augmented(tmp_path / "model", Tta(views=("identity", "flip_horizontal")))
    assert [case.scores for case in flipped.cases] != [case.scores for case in same.cases]
