"""The stage on a real recipe: what it writes, who shares it, what warmup makes of it, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from components import stages
from components.cli.values import PARAMS, configure
from components.core.checkpoint.artifact import ModelArtifact
from components.core.config import read_params
from components.core.data.dataset import Dataset
from components.core.digest import digest_path
from components.core.errors import BadInput
from components.core.stage import execute

FEW = "recipe.data.synthetic.images=12"
ON, OFF = "pretrain.epochs=2", "pretrain.epochs=0"
HEAD = "recipe.model.refine_width=16"
"""Another head on the same encoder."""


class Place:
    """Stages run in this process into one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def config(self, stage: str, *overrides: str) -> Any:
        runtime = ("runtime.progress=false", "runtime.device=cpu", f"runtime.cache.dir={self.folder / 'cache'}")
        values = read_params(PARAMS / "freqmedclip.yaml", "tiny", (FEW, *runtime, *overrides))
        return configure(stages.load(stage), values, "tiny")

    def prepare(self, *overrides: str, name: str = "dataset") -> Path:
        stage, dataset = stages.load("prepare"), self.folder / name
        execute(stage, self.config("prepare", *overrides), stage.inputs(), stage.outputs(dataset))
        return dataset

    def pretrain(self, dataset: Path, *overrides: str, name: str = "pretrain") -> Path:
        stage, out = stages.load("pretrain"), self.folder / name
        made = stage.outputs(out / "encoder", out / "metrics.json")
        execute(stage, self.config("pretrain", *overrides), stage.inputs(dataset), made)
        return out / "encoder"

    def warmup(self, dataset: Path, encoder: Path | None, *overrides: str, name: str = "warmup") -> ModelArtifact:
        stage, out = stages.load("warmup"), self.folder / name
        made = stage.outputs(out / "model", out / "metrics.json")
        execute(stage, self.config("warmup", *overrides), stage.inputs(dataset, encoder), made)
        return ModelArtifact.load(out / "model")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("pretrain"))


@pytest.fixture(scope="module")
def dataset(place: Place) -> Path:
    return place.prepare()


@pytest.fixture(scope="module")
def encoder(place: Place, dataset: Path) -> Path:
    """Two epochs of the tiny CLIP's image tower."""
    return place.pretrain(dataset, ON)


def trunk_of(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    root = "clip.model.visual.trunk."
    return {name.removeprefix(root): value for name, value in weights.items() if name.startswith(root)}


def test_it_hands_on_the_encoder_alone_by_its_own_names(place: Place, dataset: Path, encoder: Path) -> None:
    found = ModelArtifact.load(encoder)
    task = place.config("pretrain").recipe.build(Dataset.open(dataset).card)
    module = task.encoder(task.build_model(0)).module
    assert {name: value.shape for name, value in found.weights.items()} == {
        name: value.shape for name, value in module.state_dict().items()
    }
    changed = [name for name, value in module.state_dict().items() if not torch.equal(value, found.weights[name])]
    assert len(changed) > len(found.weights) / 2
    assert (found.meta.scope, found.meta.phase, found.optimizer) == ("encoder", "pretrain", None)
    assert found.meta.data_digest == Dataset.open(dataset).digest
    assert set(found.meta.recipe) == {"encoder"}


def test_its_metrics_hold_before_and_after(encoder: Path) -> None:
    metrics = json.loads((encoder.parent / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics) == {"before", "val", "steps", "decision"}
    assert set(metrics["before"]) == set(metrics["val"]) == {"effective_rank", "probe_accuracy"}
    assert metrics["before"] != metrics["val"] and metrics["steps"] > 0


def test_warmup_starts_from_it_whatever_the_head(place: Place, dataset: Path, encoder: Path) -> None:
    none = ("warmup.epochs=0", HEAD)
    started = place.warmup(dataset, encoder, *none, name="started")
    fresh = place.warmup(dataset, None, *none, name="fresh")
    trained = ModelArtifact.load(encoder)
    assert all(torch.equal(value, trained.weights[name]) for name, value in trunk_of(started.weights).items())
    rest = [name for name in fresh.weights if not name.startswith("clip.model.visual.trunk.")]
    assert all(torch.equal(fresh.weights[name], started.weights[name]) for name in rest)
    assert trunk_of(fresh.weights).keys() == trained.weights.keys()
    assert started.meta.parent_digest == trained.digest and fresh.meta.parent_digest is None
    assert "foreign_encoder" not in started.meta.extra


def test_switched_off_it_changes_nothing(place: Place, dataset: Path) -> None:
    """DVC runs the stage all the same: the same bits come out as where the node is left out."""
    empty = place.pretrain(dataset, OFF, name="off")
    found = ModelArtifact.load(empty)
    assert (found.weights, found.meta.scope, found.meta.step) == ({}, "encoder", 0)
    place.warmup(dataset, empty, "warmup.epochs=1", name="with")
    place.warmup(dataset, None, "warmup.epochs=1", name="without")
    assert digest_path(place.folder / "with" / "model") == digest_path(place.folder / "without" / "model")


def test_variants_of_the_head_share_one_pretraining(place: Place, dataset: Path, encoder: Path) -> None:
    stage = stages.load("pretrain")

    def identity(*overrides: str) -> str:
        return str(stage.identity(place.config("pretrain", ON, *overrides), stage.inputs(dataset)).digest)

    same = [identity(), identity(HEAD), identity("recipe.augment.rotation=3"), identity("warmup.epochs=9")]
    others = [
        identity("recipe.model.clip.depth=2"),
        identity("recipe.model.image_size=40"),
        identity("seed=1"),
        identity("pretrain.temperature=0.1"),
        identity("pretrain.views.crop=0.5"),
    ]
    assert len(set(same)) == 1
    assert len({*same, *others}) == 1 + len(others)
    other = place.pretrain(dataset, ON, HEAD, "recipe.augment.rotation=3", name="shared")
    assert digest_path(other) == digest_path(encoder), "and the claim is true: the bits are the same"


def test_an_encoder_of_other_pictures_is_refused_unless_asked_for(place: Place, encoder: Path) -> None:
    elsewhere = place.prepare("split.seed=3", name="elsewhere")
    with pytest.raises(BadInput, match="another split of it") as caught:
        place.warmup(elsewhere, encoder, "warmup.epochs=0", name="foreign")
    assert "foreign_encoder: true" in caught.value.remedy
    taken = place.warmup(elsewhere, encoder, "warmup.epochs=0", "foreign_encoder=true", name="foreign")
    assert taken.meta.extra["foreign_encoder"] is True
    stage, out = stages.load("partial_unfreeze"), place.folder / "later"
    inputs = stage.inputs(elsewhere, place.folder / "foreign" / "model")
    config = place.config("partial_unfreeze", "partial_unfreeze.epochs=0")
    execute(stage, config, inputs, stage.outputs(out / "model", out / "metrics.json"))
    assert ModelArtifact.load(out / "model").meta.extra["foreign_encoder"] is True, "later phases know it too"


def test_a_model_of_other_data_is_refused_whatever_is_asked(place: Place, dataset: Path) -> None:
    """The key is for encoders: a whole model has been trained on labels."""
    elsewhere = place.prepare("split.seed=3", name="elsewhere")
    place.warmup(dataset, None, "warmup.epochs=0", name="whole")
    with pytest.raises(BadInput, match="another split of it"):
        place.warmup(elsewhere, place.folder / "whole" / "model", "foreign_encoder=true", name="taken")


def test_an_encoder_of_another_architecture_is_refused_by_name(place: Place, dataset: Path) -> None:
    deeper = place.pretrain(dataset, "pretrain.epochs=1", "recipe.model.clip.depth=4", name="deeper")
    with pytest.raises(BadInput, match=r"blocks\.3\..*not in the model") as caught:
        place.warmup(dataset, deeper, "warmup.epochs=0", name="misfit")
    assert "pretrain" in caught.value.where


def test_the_same_again_is_nothing_to_do(place: Place, dataset: Path, encoder: Path) -> None:
    written = (encoder / "model.json").stat().st_mtime_ns
    place.pretrain(dataset, ON)
    assert (encoder / "model.json").stat().st_mtime_ns == written
