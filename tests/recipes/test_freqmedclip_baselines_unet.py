"""The supervised U-Net of freqmedclip: one channel per target, trained by the engine."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from judging import MODEL, ONE, TWO, drawn, square, task

from components.core.data.dataset import Dataset
from components.core.engine.groups import owners
from components.core.engine.job import Job
from components.core.engine.legs import train
from components.core.engine.phase import Phase
from components.core.engine.snapshot import put
from components.core.errors import BadInput
from components.core.export.policy import Policy
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from components.recipes.contract import RecipeTask
from components.recipes.freqmedclip.baselines_config import BaselinesConfig, UnetBaseline
from components.recipes.freqmedclip.scoring import find_target
from components.recipes.freqmedclip.unet_task import UnetTask, trained_yardsticks

SMALL = UnetBaseline(width=4, depth=2)
LOSSES = {"dice": 1.0, "bce": 1.0}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A dark and a bright square per picture, anywhere."""
    masks = [square(4 + 2 * n, 4 + n) + square(30 - 2 * n, 44 - n, side=14, value=2) for n in range(12)]
    return drawn(tmp_path_factory.mktemp("places"), masks, TWO)


@pytest.fixture(scope="module")
def unet(places: Dataset) -> UnetTask:
    return UnetTask(SMALL, 2, MODEL.prompting, task().examples)


def test_it_is_one_trained_yardstick_or_none(places: Dataset) -> None:
    found = trained_yardsticks(BaselinesConfig(unet=SMALL), places, MODEL.prompting, task().examples)
    ((name, (made, phase)),) = found.items()
    assert (name, phase) == ("unet", SMALL.phase)
    model = made.build_model(0)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 2, 32, 32)
    assert set(owners(model, made.parts(model)).values()) == set(phase.trainable)
    made.check(phase.losses, made.examples(places, "train"), phase.trainable)
    assert trained_yardsticks(BaselinesConfig(unet=None), places, MODEL.prompting, task().examples) == {}


def test_the_model_is_a_function_of_the_seed(unet: UnetTask) -> None:
    first, again, other = (unet.build_model(seed).head.weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_sample_trains_the_channel_of_its_own_target(places: Dataset, unet: UnetTask) -> None:
    examples = unet.examples(places, "train")
    model = unet.build_model(0)
    for value in (1, 2):
        rows = [row for row, sample in enumerate(examples.ids) if sample.endswith(f"#{value}")]
        batch = examples.load(rows, [()] * len(rows), unet.fields(LOSSES))
        channel = {"a dark lesion": 1, "a bright lesion": 0}[TWO[value]]  # rows of the sorted prompts
        model.zero_grad()
        torch.stack(list(unet.objective(model, batch, {}, LOSSES).terms.values())).sum().backward()
        gradients = model.head.weight.grad.abs().flatten(1).sum(dim=1)
        assert gradients[channel] > 0
        assert gradients[1 - channel] == 0


def test_the_channel_of_a_target_is_the_same_in_every_split(places: Dataset) -> None:
    examples = task().examples
    rows = {split: examples(places, split).load([0, 1], [(), ()], frozenset({"prompt"})) for split in places.splits}
    assert {tuple(batch["prompt"].tolist()) for batch in rows.values()} == {(1, 0)}


def test_one_target_reads_no_prompt(tmp_path: Path) -> None:
    dataset = drawn(tmp_path, [square(8, 4 + n) for n in range(8)], ONE)
    one = UnetTask(SMALL, 1, MODEL.prompting, task().examples)
    assert one.fields(LOSSES) == {"image", "mask"}
    batch = one.examples(dataset, "train").load([0, 1], [(), ()], one.fields(LOSSES))
    assert one.logits(one.build_model(0), batch).shape == (2, 32, 32)


def test_terms_are_per_sample_weighted_and_independent_of_the_batch(places: Dataset, unet: UnetTask) -> None:
    model, examples = unet.build_model(0), unet.examples(places, "train")
    whole = examples.load([0, 1, 2], [()] * 3, unet.fields(LOSSES))
    alone = examples.load([2], [()], unet.fields(LOSSES))
    many = unet.objective(model, whole, {}, {"dice": 2.0, "bce": 1.0}).terms
    one = unet.objective(model, alone, {}, LOSSES).terms
    assert many["dice"].shape == many["bce"].shape == (3,)
    torch.testing.assert_close(many["dice"][2], 2 * one["dice"][0])
    torch.testing.assert_close(many["bce"][2], one["bce"][0])
    assert unet.couples(LOSSES) == ""


def test_an_unknown_loss_is_an_error(places: Dataset, unet: UnetTask) -> None:
    with pytest.raises(BadInput, match="hinge"):
        unet.check({"dice": 1.0, "hinge": 1.0}, unet.examples(places, "train"), {"unet"})


def test_validation_leaves_empty_truth_out(places: Dataset, unet: UnetTask) -> None:
    model = unet.build_model(0)
    batch = unet.examples(places, "val").load([0, 1], [(), ()], unet.fields(LOSSES))
    batch["mask"][0] = 0
    measured = unet.measure(model, batch, {}, LOSSES)
    assert math.isnan(measured["dice"][0])
    assert unet.summarise(measured)["dice"] == pytest.approx(float(measured["dice"][1]))
    with pytest.raises(BadInput, match="no validation sample"):
        unet.summarise({"dice": torch.tensor([math.nan, math.nan])})


def test_it_is_judged_like_the_model_and_not_exported(places: Dataset, unet: UnetTask, tmp_path: Path) -> None:
    assert isinstance(unet.headline, str)
    sample = unet.examples(places, "test").ids[0]
    truth = np.repeat(np.repeat(find_target(places, sample).truth, 4, axis=0), 3, axis=1)
    found = unet.score(places, sample, {"unet": torch.from_numpy(truth).float()}, {}, pictures=True)
    assert found.scores[unet.headline] == found.scores["prompt_box_iou"] == 1.0
    assert "prediction" in found.pictures
    assert unet.baselines(0, "cpu") == ()
    assert unet.trained_baselines(places) == {}
    with pytest.raises(BadInput, match="not exported"):
        unet.export(unet.build_model(0), places, {}, Policy(), tmp_path)


def test_the_engine_trains_it(places: Dataset, tmp_path: Path) -> None:
    small = UnetBaseline(width=8, depth=2)
    unet: RecipeTask = UnetTask(small, 2, MODEL.prompting, task().examples)
    phase = Phase(
        epochs=12, batch_size=4, trainable={"unet": 1e-2}, losses=LOSSES, views=0, validate_every=4, schedule="constant"
    )
    runtime = Runtime(device="cpu", workers=0, progress=False, cache=Cache(dir=tmp_path / "cache"))
    identity = Identity("evaluate.unet", "code", {}, {})
    job = Job(unet, phase, "unet", 0, runtime, places, None, identity, str(tmp_path / "checkpoints"))
    with Tracker(runtime, RunLabels(recipe="freqmedclip", stage="evaluate")) as tracker:
        result = train(job, tracker)
    assert result.decision == {}
    model = unet.build_model(0)
    examples = unet.examples(places, "test")
    rows = range(len(examples.ids))
    batch = examples.load(rows, [()] * len(rows), unet.fields(LOSSES))

    def judged() -> float:
        predicted = unet.predict(model.eval(), batch, {})["unet"]
        cases = [
            unet.score(places, examples.ids[row], {"unet": predicted[row]}, {}, pictures=False).scores["dice"]
            for row in rows
        ]
        return float(np.mean(cases))

    untrained = judged()
    put(model, result.weights)
    assert judged() > max(0.6, untrained + 0.3), (untrained, judged(), result.summary)
