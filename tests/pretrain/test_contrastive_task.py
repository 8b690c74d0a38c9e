"""SimCLR as the engine's task: what it looks at, what its loss is of, what it refuses, what it says of itself."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from components.core.augment.simclr import ColourViews
from components.core.contrastive.examples import PictureViews
from components.core.contrastive.network import Contraster
from components.core.contrastive.task import Contrastive, as_floats, probed_rows
from components.core.contrastive.values import LOSS, Pretrain
from components.core.data.pictures import Pictures
from components.core.engine.legs import train
from components.core.engine.run import PhaseRun
from components.core.engine.step import NonFinite, OutOfMemory
from components.core.errors import BadInput
from components.core.losses.nt_xent import nt_xent
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.pretrain.toys import SIZE, VALUES, ToyDataset, ToyRecipeTask, toy_job

NO_FEATURES: dict[str, Tensor] = {}


def tracker(job: Any) -> Tracker:
    return Tracker(job.runtime, RunLabels(recipe="toy", stage="pretrain", seed=0))


def contrastive(task: ToyRecipeTask | None = None, dataset: ToyDataset | None = None) -> Contrastive:
    return Contrastive(task or ToyRecipeTask(), dataset or ToyDataset(), VALUES, 0)  # type: ignore[arg-type]


def batch_of(task: Contrastive, rows: list[int]) -> dict[str, Tensor]:
    return task.examples(None, "train").load(rows, [(7, row) for row in rows], frozenset({"views"}))


def test_only_train_and_unlabelled_pictures_are_ever_asked_for() -> None:
    dataset = ToyDataset()
    task = contrastive(dataset=dataset)
    seen = [*task.examples(dataset, "train").ids, *task.examples(dataset, "val").ids]
    assert set(dataset.asked) == {"train", "unlabelled"}
    assert {name[:-2] for name in seen} == {"train", "unlabelled"}
    assert {name[:-2] for name in task.examples(dataset, "val").ids} == {"train"}, "the probe needs labels"


def test_a_dataset_without_labels_is_seen_as_a_whole() -> None:
    dataset = ToyDataset(splits=("unlabelled",))
    task = contrastive(dataset=dataset)
    assert task.examples(dataset, "val").ids == task.examples(dataset, "train").ids
    assert task.monitor == "effective_rank"
    assert dataset.asked == ["unlabelled"]


def test_a_sample_is_two_views_of_one_picture_and_one_when_looked_at() -> None:
    task = contrastive()
    examples = task.examples(None, "train")
    views = batch_of(task, [0, 3])["views"]
    assert (views.shape, views.dtype) == ((2, 2, SIZE, SIZE, 3), torch.uint8)
    assert not torch.equal(views[:, 0], views[:, 1])
    plain = examples.load([3], [()], frozenset({"views"}))["views"]
    assert plain.shape == (1, 1, SIZE, SIZE, 3)
    assert torch.equal(batch_of(task, [3])["views"][0], views[1]), "a function of the key, not of the batch"
    with pytest.raises(ValueError, match="unknown fields"):
        examples.load([0], [()], frozenset({"image"}))
    values = as_floats(plain[:, 0])
    assert values.shape == (1, 3, SIZE, SIZE) and values.min() >= 0 and values.max() <= 1


def test_the_digest_says_what_is_done_to_the_pictures() -> None:
    pictures = ToyRecipeTask().pictures(ToyDataset(), ["train"])
    made = [
        PictureViews(pictures, rows, size, views).digest
        for rows in (range(4), range(5))
        for size in (8, 16)
        for views in (ColourViews(), ColourViews(grey=0))
    ]
    assert len(set(made)) == len(made)


def test_the_loss_is_nt_xent_of_the_two_views_of_each_picture() -> None:
    task = contrastive()
    network, rows = task.build_model(0), [0, 1, 2, 3]
    batch = batch_of(task, rows)
    found = task.objective(network, batch, NO_FEATURES, {LOSS: 2.0})
    first, second = (network(as_floats(batch["views"][:, side])) for side in range(2))
    torch.testing.assert_close(found.terms[LOSS], 2 * nt_xent(first, second, VALUES.temperature))
    assert -1 <= found.scalars["positive_similarity"] <= 1


def test_the_network_is_a_function_of_the_seed_and_each_is_a_new_one() -> None:
    recipe = ToyRecipeTask()
    task = contrastive(recipe)
    kept = torch.get_rng_state()
    first, second, other = (task.build_model(seed) for seed in (0, 0, 1))
    assert recipe.built == [0, 0, 1], "the first one had told the size of the pictures"
    assert torch.equal(torch.get_rng_state(), kept)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]) and value is not second.state_dict()[name]
        assert not torch.equal(value, other.state_dict()[name])
    assert {name.partition(".")[0] for name in first.state_dict()} == {"encoder", "projection"}


@pytest.mark.parametrize(
    ("task", "dataset", "message"),
    [
        (ToyRecipeTask(), ToyDataset(splits=("val", "test")), "none can be told from another"),
        (ToyRecipeTask(), ToyDataset(splits=("train",), each=1), "1 train or unlabelled pictures"),
        (ToyRecipeTask(has_encoder=False), ToyDataset(), "has no encoder"),
    ],
)
def test_what_cannot_be_pretrained_is_refused(task: ToyRecipeTask, dataset: ToyDataset, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        contrastive(task, dataset)
    assert "pretrain.epochs: 0" in caught.value.remedy


def looked_at(task: Contrastive, network: Contraster) -> dict[str, float]:
    """What a validation of these weights says, without the engine."""
    examples = task.examples(None, "val")
    rows = range(len(examples.ids))
    batch = examples.load(rows, [()] * len(rows), frozenset({"views"}))
    with torch.no_grad():
        return task.summarise(task.measure(network.eval(), batch, NO_FEATURES, {LOSS: 1.0}))


def test_the_encoder_is_looked_at_before_in_between_and_after(tmp_path: Path) -> None:
    job = toy_job(tmp_path, VALUES.model_copy(update={"epochs": 5}))
    with tracker(job) as told:
        result = train(job, told)
    task = contrastive()
    network = task.build_model(0)
    assert result.before == pytest.approx(looked_at(task, network))
    network.load_state_dict(result.weights)
    assert result.summary == pytest.approx(looked_at(task, network))
    assert set(result.summary) == {"effective_rank", "probe_accuracy"}
    probed = [int(row["epoch"]) for row in result.history if "val/probe_accuracy" in row]
    assert probed == [1, 3, 4], "every two epochs, and at the end"
    losses = [row["train/nt_xent"] for row in result.history]
    assert losses[-1] < losses[0] < 1.5 * math.log(2 * VALUES.batch_size - 1)


def test_without_labels_the_rank_alone_is_told(tmp_path: Path) -> None:
    job = toy_job(tmp_path, task=ToyRecipeTask(labelled=False))
    with tracker(job) as told:
        result = train(job, told)
    assert set(result.summary) == {"effective_rank"} == set(result.before)


def test_a_collapsed_encoder_is_seen_to_be_one(tmp_path: Path) -> None:
    job = toy_job(tmp_path, task=ToyRecipeTask(spoil=lambda x: x[:1].expand_as(x)))
    with tracker(job) as told:
        result = train(job, told)
    assert result.summary["effective_rank"] == pytest.approx(1, abs=0.2)


def test_pictures_at_fault_are_named_and_no_others() -> None:
    task = contrastive(ToyRecipeTask(spoil=lambda x: x.index_fill(0, torch.tensor([1]), torch.nan)))
    network = task.build_model(0)
    found = task.objective(network, batch_of(task, [0, 1, 2]), NO_FEATURES, {LOSS: 1.0}).terms[LOSS]
    assert torch.isnan(found).tolist() == [False, True, False]
    found.nan_to_num().sum().backward()
    embeddings = torch.zeros(len(task.examples(None, "val").ids), 8)
    embeddings[2] = torch.inf
    with pytest.raises(NonFinite, match="not finite") as caught:
        task.summarise({"embedding": embeddings})
    assert caught.value.where == f"samples {task.examples(None, 'val').ids[2]}"


def test_a_loss_that_is_not_finite_ends_the_run_by_name(tmp_path: Path) -> None:
    def spoil(x: Tensor) -> Tensor:
        return x * torch.where(torch.arange(len(x)) == 2, torch.inf, 1.0)[:, None] if x.requires_grad else x

    job = toy_job(tmp_path, task=ToyRecipeTask(spoil=spoil))
    with pytest.raises(NonFinite) as caught, tracker(job) as told:
        train(job, told)
    assert caught.value.where.count("train") + caught.value.where.count("unlabelled") == 1


def test_out_of_memory_names_the_largest_batch_and_halves_nothing(tmp_path: Path) -> None:
    def full(x: Tensor) -> Tensor:
        if len(x) > 6:
            raise torch.OutOfMemoryError("no room")
        return x

    job = toy_job(tmp_path, VALUES.model_copy(update={"batch_size": 12}), ToyRecipeTask(spoil=full))
    with tracker(job) as told:
        run = PhaseRun(job, told)
        features = run.frozen("train", None)
        with pytest.raises(OutOfMemory, match="negatives are the rest of its batch") as caught:
            next(run.steps(run.stepper(features), features))
    assert "the largest batch that fits is 3" in caught.value.remedy


def test_at_most_so_many_pictures_are_probed_in_whole_groups() -> None:
    ids = [f"{number:03d}" for number in range(60)]
    groups = [str(number // 3) for number in range(60)]
    pictures = Pictures(ids, groups, [number // 3 % 2 for number in range(60)], lambda row: np.zeros((1, 1, 3)), "")
    rows, labelled = probed_rows(pictures, 20)
    assert labelled and len(rows) == 18 and rows == sorted(rows)
    chosen = {groups[row] for row in rows}
    assert rows == [row for row in range(60) if groups[row] in chosen]
    assert probed_rows(pictures, 60)[0] == list(range(60))
    assert len(probed_rows(pictures, 2)[0]) == 2, "one group larger than the limit is cut"


def test_the_values_are_a_phase() -> None:
    phase = Pretrain(epochs=100).phase()
    assert (phase.batch_size, phase.accumulate, phase.views, phase.warmup_epochs) == (64, 1, 0, 10)
    assert (phase.trainable, phase.losses) == ({"encoder": 3e-4, "projection": 3e-4}, {LOSS: 1.0})
    assert phase.handoff.weights == "last" and phase.validate_first and phase.ema is None
    for wrong in ({"batch_size": 1}, {"temperature": 0}, {"views": {"preset": "grey", "hue": 0.1}}, {"probes": {}}):
        with pytest.raises(ValueError, match="validation error"):
            Pretrain.model_validate(wrong)
