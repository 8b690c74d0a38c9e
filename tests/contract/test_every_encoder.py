"""What every recipe with an encoder promises `pretrain`, tried on every one that has a params file."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.cli.values import recipes
from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.contrastive.task import SEEN, Contrastive
from components.core.contrastive.values import ENCODER, Pretrain
from components.core.engine.legs import train
from components.core.engine.run import PhaseRun
from components.core.engine.start import build
from components.core.engine.task import Encoder
from tests.contract.bench import Bench

VALUES = Pretrain.model_validate({"epochs": 1, "batch_size": 8, "projection": 8, "probe": {"folds": 2}})


@pytest.fixture(scope="module", params=recipes())
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    made = Bench.of(request.param, tmp_path_factory.mktemp(request.param))
    if made.task.encoder(made.task.build_model(0)) is None:
        pytest.skip(f"{made.name} has no encoder")
    return made


def encoder_of(bench: Bench, seed: int = 0) -> tuple[nn.Module, Encoder]:
    model = bench.task.build_model(seed)
    encoder = bench.task.encoder(model)
    assert encoder is not None
    return model, encoder


def job(bench: Bench) -> Any:
    task = Contrastive(bench.task, bench.dataset, VALUES, 0)
    return bench.job("pretrain", VALUES.phase(), task)


def test_the_encoder_turns_pictures_into_vectors_of_its_own(bench: Bench) -> None:
    _, encoder = encoder_of(bench)
    encoder.module.eval()
    pictures = torch.rand(3, 3, encoder.size, encoder.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        together = encoder.embed(pictures)
        alone = torch.cat([encoder.embed(picture[None]) for picture in pictures])
    assert together.shape == (3, encoder.width)
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[1])


def test_the_encoder_is_part_of_the_model(bench: Bench) -> None:
    model, encoder = encoder_of(bench)
    ours = {id(value) for value in [*encoder.module.parameters(), *encoder.module.buffers()]}
    assert ours and ours <= {id(value) for value in [*model.parameters(), *model.buffers()]}


def test_the_untrained_encoder_is_a_function_of_the_seed(bench: Bench) -> None:
    """Variants with equal `encoder_values` share one pretraining, so nothing else may decide how it begins."""
    first, second, other = (encoder_of(bench, seed)[1].module.state_dict() for seed in (1, 1, 2))
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert [name for name in first if not torch.equal(first[name], other[name])] != []


def test_pictures_are_rgb_and_of_the_splits_asked_for(bench: Bench) -> None:
    present = [split for split in SEEN if split in bench.dataset.splits]
    pictures = bench.task.pictures(bench.dataset, present)
    assert list(pictures.ids) == [row.id for split in present for row in bench.dataset.rows(split)]
    assert len(pictures.groups) == len(pictures.labels) == len(pictures.ids)
    shown = pictures.load(0)
    assert shown.dtype == np.uint8 and shown.ndim == 3 and shown.shape[2] == 3
    assert pictures.digest != bench.task.pictures(bench.dataset, ["test"]).digest


def test_all_of_the_encoder_learns_from_views_alone(bench: Bench) -> None:
    made = job(bench)
    run = PhaseRun(made, bench.tracker(made))
    features = run.frozen("train", None)
    before = {name: value.detach().clone() for name, value in run.model.named_parameters()}
    for _ in run.steps(run.stepper(features), features):
        pass
    still = [name for name, value in run.model.named_parameters() if torch.equal(value, before[name])]
    assert still == []


def test_what_is_handed_on_starts_the_recipe(bench: Bench) -> None:
    made = job(bench)
    with bench.tracker(made) as tracker:
        result = train(made, tracker)
    root = f"{ENCODER}."
    weights: dict[str, Tensor] = {
        name.removeprefix(root): value for name, value in result.weights.items() if name.startswith(root)
    }
    meta = ModelMeta(recipe={}, phase="pretrain", step=result.steps, scope="encoder")
    model = build(bench.task, 0, ModelArtifact(weights, None, meta, ""))
    encoder = bench.task.encoder(model)
    assert encoder is not None
    assert all(torch.equal(value, weights[name]) for name, value in encoder.module.state_dict().items())
    fresh, kept = bench.task.build_model(0).state_dict(), model.state_dict()
    inside = {id(value) for value in [*encoder.module.parameters(), *encoder.module.buffers()]}
    named = [*model.named_parameters(), *model.named_buffers()]
    outside = [name for name, value in named if id(value) not in inside and name in fresh]
    assert [name for name in outside if not torch.equal(kept[name], fresh[name])] == []
