"""hvit's task: its samples, its answers, and what a phase reads."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from leaves import CLASSES, leaves

from components.core.augment.severity import Severity
from components.core.data.dataset import Dataset
from components.core.engine.cache import FeatureCache
from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures
from components.core.engine.groups import owners
from components.core.engine.order import Curriculum
from components.core.errors import BadInput
from components.core.models.backbone_config import BackboneConfig
from components.core.models.dfca_config import DfcaConfig
from components.core.runtime import Cache, Runtime
from components.recipes.hvit.examples import ClassExamples
from components.recipes.hvit.fraction import Labels
from components.recipes.hvit.model_config import ModelConfig
from components.recipes.hvit.objectives import Objectives
from components.recipes.hvit.task import HVitTask

SMALL = {"patch_size": 4, "dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "heads": [1, 1, 2, 2]}
BOTH = {"ce": 0.5, "focal": 0.5}
MODEL = ModelConfig(backbone=BackboneConfig(name="hvit_tiny", arguments=SMALL), image_size=32, dfca=DfcaConfig(heads=2))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return leaves(tmp_path_factory.mktemp("leaves"))


def task(dataset: Dataset, labels: Labels | None = None, **model: Any) -> HVitTask:
    config = MODEL.model_copy(update=model)
    return HVitTask(config, Severity(level="aggressive"), labels or Labels(), dataset.card)


def predicted(found: HVitTask, dataset: Dataset, count: int = 4) -> tuple[torch.nn.Module, dict[str, torch.Tensor]]:
    model = found.build_model(0).eval()
    batch = found.examples(dataset, "test").load(range(count), [()] * count, frozenset({"image", "label"}))
    return model, found.predict(model, batch, {"image": batch["image"]})


def test_pictures_are_loaded_with_their_classes(dataset: Dataset) -> None:
    examples = task(dataset).examples(dataset, "train")
    batch = examples.load([2, 0], [(), (0, 1)], frozenset({"image", "label"}))
    assert batch["row"].tolist() == [2, 0] and batch["image"].shape == (2, 3, 32, 32)
    assert float(batch["image"].min()) >= 0 and float(batch["image"].max()) <= 1 and float(batch["image"].max()) > 0.5
    rows = dataset.rows("train")
    assert batch["label"].tolist() == [CLASSES.index(rows[2].stratum), CLASSES.index(rows[0].stratum)]
    again = examples.load([0], [(0, 1)], frozenset({"image"}))
    assert torch.equal(again["image"][0], batch["image"][1]) and "label" not in again
    assert not torch.equal(examples.load([0], [(0, 2)], frozenset({"image"}))["image"], again["image"])
    with pytest.raises(ValueError, match="unknown fields"):
        examples.load([0], [()], frozenset({"mask"}))


def test_what_is_seen_enters_the_digest(dataset: Dataset) -> None:
    def digest(size: int = 32, level: Any = "light", count: int = 4) -> str:
        rows = dataset.rows("train")[:count]
        return ClassExamples(dataset, rows, classes=CLASSES, size=size, augment=Severity(level=level)).digest

    assert digest() == digest()
    assert len({digest(), digest(size=64), digest(level="moderate"), digest(count=3)}) == 4


def test_a_part_of_the_labels_is_a_part_of_train_alone(dataset: Dataset) -> None:
    half = task(dataset, Labels(fraction=0.5))
    for split in ("train", "val", "test"):
        whole = len(dataset.rows(split))
        assert (len(half.examples(dataset, split).ids) < whole) == (split == "train"), split
    assert len(half.pictures(dataset, ["train"]).ids) == len(dataset.rows("train")), "pretrain needs no labels"


def test_answers_are_probabilities_and_where_they_come_from(dataset: Dataset) -> None:
    found = task(dataset)
    _, answer = predicted(found, dataset)
    assert answer["probability"].shape == (4, 3)
    torch.testing.assert_close(answer["probability"].sum(dim=1), torch.ones(4))
    assert answer["relevance"].shape == (4, 1, 1)  # 32 px in patches of 4, merged three times
    assert answer["attention"].shape == (4, 2, 2)  # patches of 16
    assert "attention" not in predicted(task(dataset, use_dfca=False), dataset)[1]
    sample = found.examples(dataset, "test").ids[1]
    case = found.score(dataset, sample, {name: value[1] for name, value in answer.items()}, {}, pictures=True)
    assert case.id == sample and list(case.pictures) == ["prediction", "relevance", "attention"]
    np.testing.assert_allclose(case.evidence["probability"], answer["probability"][1].numpy())
    assert set(found.score(dataset, sample, {"probability": answer["probability"][1]}, {}, pictures=True).pictures) == {
        "prediction"
    }
    assert found.confusion([case]).labels == list(CLASSES)
    assert found.headline in found.statistics and found.ranking in case.scores


def test_validation_measures_what_prediction_says(dataset: Dataset) -> None:
    found = task(dataset)
    model, answer = predicted(found, dataset)
    batch = found.examples(dataset, "test").load(range(4), [()] * 4, frozenset({"image", "label"}))
    with torch.no_grad():
        measured = found.measure(model, batch, {"image": batch["image"]}, BOTH)
        terms = found.objective(model, batch, {"image": batch["image"]}, BOTH).terms
    torch.testing.assert_close(measured["probability"], answer["probability"])
    summary = found.summarise(measured)
    assert found.monitor in summary and summary["loss"] == pytest.approx(float(sum(terms.values()).mean()))


def test_class_weights_reach_the_loss(dataset: Dataset) -> None:
    plain, weighted = task(dataset), task(dataset, objectives=Objectives(class_weights=(1.0, 2.0, 3.0)))
    model = plain.build_model(0).eval()
    batch = plain.examples(dataset, "test").load(range(6), [()] * 6, frozenset({"image", "label"}))
    first = plain.objective(model, batch, {"image": batch["image"]}, {"focal": 1.0}).terms["focal"]
    second = weighted.objective(model, batch, {"image": batch["image"]}, {"focal": 1.0}).terms["focal"]
    torch.testing.assert_close(second / first, batch["label"].float() + 1)


@pytest.mark.parametrize(("views", "reads"), [(2, False), (0, True)])
def test_a_frozen_backbone_on_kept_views_needs_no_pixels(
    dataset: Dataset, tmp_path: Path, views: int, reads: bool
) -> None:
    found = task(dataset)
    model, examples = found.build_model(0).eval(), found.examples(dataset, "train")
    parts = found.parts(model)
    prefixes = found.prefixes(model, examples, frozenset(parts) - {"head", "dfca"}, BOTH)
    plan = Curriculum(seed=0, sources=examples.sources, window=4, views=views)
    cache, device = FeatureCache(Cache(dir=tmp_path)), Device(Runtime(device="cpu"))
    kept = FrozenFeatures(model, owners(model, parts), prefixes, examples, plan.kept(), cache, device)
    assert ("image" in found.fields(BOTH) | kept.fields) == reads


def test_one_class_is_none(dataset: Dataset) -> None:
    card = dataset.card.model_copy(update={"label_names": {"0": "blight"}})
    single = HVitTask(MODEL, Severity(), Labels(), card)
    single.build_model(0)  # pretrain needs no classes
    with pytest.raises(BadInput, match="needs two classes, the dataset has 1"):
        single.examples(dataset, "train")
