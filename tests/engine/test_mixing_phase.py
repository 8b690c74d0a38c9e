"""A phase that mixes: the same steps however its batches are cut, interrupted, cached or loaded."""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.core.augment.mixing import Mix
from components.core.engine.cache import FeatureCache
from components.core.engine.job import Result
from components.core.engine.mixing import Mixing
from components.core.engine.order import Curriculum, view_key, view_of
from components.core.engine.phase import Phase
from components.core.engine.run import PhaseRun
from components.core.engine.shares import Shares
from components.core.engine.step import StepResult
from components.core.engine.task import Batch, Features, Objective, ViewKey
from components.core.engine.windows import Windows
from components.core.errors import BadInput
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.engine.runs import Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyExamples, ToyModel, ToyTask

PLAIN: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 4,
    "accumulate": 2,
    "trainable": {"head": 0.05, "block": 0.02},
    "losses": {"mse": 1.0},
    "schedule": "constant",
    "validate_every": 3,
}
PIXELS = Phase(**PLAIN, views=0, mix=Mix(per="pair", switch=0.5))
FEATURES = Phase(**PLAIN, views=2, mix=Mix(cutmix=0, per="pair", where="features"))


class PictureExamples(ToyExamples):
    """The numbers of a sample as a picture of 2 x 2."""

    def load(self, rows: Sequence[int], keys: Sequence[ViewKey], fields: frozenset[str]) -> Batch:
        batch = super().load(rows, keys, fields)
        return {name: value.reshape(-1, 1, 2, 2) if name == "x" else value for name, value in batch.items()}


class PictureTask(ToyTask):
    """The toy on pictures, without dropout; remembers what its objective saw."""

    def __init__(self, **values: Any) -> None:
        super().__init__(norm=False, **values)
        self.seen: list[tuple[Batch, Features]] = []

    def build_model(self, seed: int) -> nn.Module:
        model = super().build_model(seed)
        model.stem[2].p = 0.0
        return model

    def examples(self, dataset: object, split: str) -> ToyExamples:
        return PictureExamples(**vars(super().examples(dataset, split)))

    def _stem(self, model: ToyModel, x: Tensor) -> Tensor:
        return super()._stem(model, x.flatten(1))

    def objective(self, model: ToyModel, batch: Batch, features: Features, losses: Mapping[str, float]) -> Objective:
        self.seen.append((batch, features))
        return super().objective(model, batch, features, losses)


class CachedTask(PictureTask):
    """Reads pixels through its frozen stem alone."""

    def fields(self, losses: Mapping[str, float]) -> frozenset[str]:
        return frozenset({"y", "word"})


Steps: TypeAlias = list[tuple[StepResult, dict[str, Tensor]]]


def steps(task: ToyTask, folder: Path, phase: Phase, *, cached: bool = True) -> Steps:
    """The first three optimiser steps: what they report, and the gradients."""
    work = job(task, folder, phase)
    phase_run = PhaseRun(work, Tracker(work.runtime, RunLabels(recipe="toy", stage="toy", seed=0)))
    features = phase_run.frozen("train", FeatureCache(work.runtime.cache) if cached else None)
    found = []
    for done in islice(phase_run.steps(phase_run.stepper(features), features), 3):
        grads = {n: p.grad.clone() for n, p in phase_run.model.named_parameters() if p.grad is not None}
        found.append((done, grads))
    return found


def assert_close(found: Steps, expected: Steps) -> None:
    for (ours, grads), (theirs, others) in zip(found, expected, strict=True):
        assert ours.terms["mse"] == pytest.approx(theirs.terms["mse"], rel=1e-5)
        for name, grad in others.items():
            torch.testing.assert_close(grads[name], grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("phase", [PIXELS, FEATURES], ids=["pixels", "features"])
@pytest.mark.parametrize("cut", [{"batch_size": 8, "accumulate": 1}, {"batch_size": 1, "accumulate": 8}])
def test_how_a_window_is_cut_changes_neither_losses_nor_gradients(
    phase: Phase, cut: dict[str, int], tmp_path: Path
) -> None:
    expected = steps(PictureTask(), tmp_path, phase)
    assert_close(steps(PictureTask(), tmp_path, phase.model_copy(update=cut)), expected)


@pytest.mark.parametrize("phase", [PIXELS, FEATURES], ids=["pixels", "features"])
def test_memory_that_ran_out_changes_neither_losses_nor_gradients(phase: Phase, tmp_path: Path) -> None:
    expected = steps(PictureTask(), tmp_path, phase)
    small = PictureTask()
    small.memory = 3
    assert_close(steps(small, tmp_path, phase), expected)


@pytest.mark.parametrize("workers", [0, 2])
def test_mixed_pixels_reach_the_objective_and_validation_sees_plain_ones(workers: int, tmp_path: Path) -> None:
    task = PictureTask()
    measured: list[Batch] = []
    measure = task.measure
    task.measure = lambda model, batch, *rest: (measured.append(batch), measure(model, batch, *rest))[1]  # type: ignore[method-assign]
    run(job(task, tmp_path, PIXELS, runtime={"workers": workers}))
    plain = task.examples(None, "train")
    for batch, _ in task.seen:
        assert set(batch) == {"row", "x", "y", "y:partner", "word", "word:partner", "mix"}
        own = plain.load(batch["row"].tolist(), [()] * len(batch["row"]), frozenset({"y"}))
        assert torch.equal(batch["y"], own["y"])
    assert PIXELS.mix is not None
    windows = [
        PIXELS.mix.pairing(5, epoch, window, size) for epoch in range(3) for window, size in enumerate((8, 8, 7))
    ]
    expected = torch.from_numpy(np.concatenate([pairing.weights(2, 2) for pairing in windows])).float()
    assert torch.equal(torch.cat([batch["mix"] for batch, _ in task.seen]), expected)
    assert all(set(batch) == {"row", "x", "y", "word"} for batch in measured)


def test_mixed_features_are_those_of_the_samples_and_their_partners(tmp_path: Path) -> None:
    """From a filled cache: nothing but labels is loaded, and what is blended is what the cache holds."""
    task = CachedTask()
    steps(task, tmp_path, FEATURES)
    seed = job(task, tmp_path).seed
    model = task.build_model(seed).eval()
    examples = task.examples(None, "train")
    rows = row_by_truth(examples.load(range(23), [()] * 23, frozenset({"y"})))
    for batch, features in task.seen:
        assert set(batch) == {"row", "y", "y:partner", "word", "word:partner", "mix"}
        for place, row in enumerate(batch["row"].tolist()):
            mate = rows[round(float(batch["y:partner"][place]), 6)]
            keys = [view_key(seed, r, view_of(r, 0, FEATURES.views)) for r in (row, mate)]
            with torch.no_grad():
                own, other = model.stem(examples.load([row, mate], keys, frozenset({"x"}))["x"].flatten(1))
            weight = batch["mix"][place]
            torch.testing.assert_close(features["stem"][place], weight * own + (1 - weight) * other)
    assert min(float(batch["mix"].min()) for batch, _ in task.seen) < 0.9, "something was mixed"


def row_by_truth(batch: Batch) -> dict[float, int]:
    """The toy's truths differ, so that a partner is known by its own."""
    return {round(y, 6): row for row, y in zip(batch["row"].tolist(), batch["y"].tolist(), strict=True)}


def test_cached_and_computed_features_are_mixed_alike(tmp_path: Path) -> None:
    expected = steps(CachedTask(), tmp_path, FEATURES)
    odd = FEATURES.model_copy(update={"batch_size": 1, "accumulate": 8})
    for phase in (FEATURES, odd):
        assert_close(steps(CachedTask(), tmp_path, phase, cached=False), expected)


def test_pixels_read_beside_mixed_features_are_mixed_like_them(tmp_path: Path) -> None:
    task = PictureTask()
    steps(task, tmp_path, FEATURES, cached=False)
    for batch, _ in task.seen:
        assert set(batch) == {"row", "x", "y", "y:partner", "word", "word:partner", "mix"}
    linear = PictureTask()
    steps(linear, tmp_path, FEATURES.model_copy(update={"mix": None}), cached=False)
    plain = {row: x for batch, _ in linear.seen for row, x in zip(batch["row"].tolist(), batch["x"], strict=True)}
    rows = {truth: row for batch, _ in linear.seen for truth, row in row_by_truth(batch).items()}
    for batch, _ in task.seen:
        for place, row in enumerate(batch["row"].tolist()):
            mate = rows[round(float(batch["y:partner"][place]), 6)]
            weight = batch["mix"][place]
            torch.testing.assert_close(batch["x"][place], weight * plain[row] + (1 - weight) * plain[mate])


@pytest.mark.parametrize("phase", [PIXELS, FEATURES], ids=["pixels", "features"])
@pytest.mark.parametrize("calls", [2, 9, 13])
def test_a_killed_mixing_phase_ends_with_the_same_bits(phase: Phase, calls: int, tmp_path: Path) -> None:
    expected: Result = run(job(PictureTask(), tmp_path / "whole", phase))
    broken = PictureTask()
    broken.on_objective = kill_at(calls)
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "killed", phase))
    assert_same(run(job(PictureTask(), tmp_path / "killed", phase)), expected)
    plain = phase.model_copy(update={"mix": None})
    assert run(job(PictureTask(), tmp_path / "plain", plain)).history != expected.history, "mixing does something"


def test_a_recipe_without_mixed_labels_refuses_to_mix(tmp_path: Path) -> None:
    class Unmixed(PictureTask):
        mixed = frozenset()

    with pytest.raises(BadInput, match="know no mixed labels"):
        run(job(Unmixed(), tmp_path, PIXELS))


def test_features_are_not_mixed_where_nothing_gives_any(tmp_path: Path) -> None:
    everything = FEATURES.model_copy(update={"trainable": {"*": 0.01}})
    with pytest.raises(BadInput, match="no features to mix") as caught:
        run(job(PictureTask(), tmp_path, everything))
    assert "where: pixels" in caught.value.remedy


@pytest.mark.parametrize("phase", [PIXELS, FEATURES], ids=["pixels", "features"])
@pytest.mark.parametrize("size", [2, 3])
def test_the_shares_of_several_processes_are_those_of_the_whole(phase: Phase, size: int) -> None:
    """Each process loads its own samples and their partners, and mixes them as one process would."""
    task = PictureTask()
    examples = task.examples(None, "train")
    curriculum = Curriculum(5, examples.sources, window=7, views=phase.views)
    mixing = Mixing.of(phase.mix, task, 5)

    def windows(rank: int, count: int) -> list[tuple[Batch, list[int]]]:
        loaded = Windows(curriculum, Shares(rank, count), mixing).load(examples, 1, 0, frozenset({"x", "y"}), 0)
        return [(batch, list(views)) for _, batch, views in loaded]

    whole, parts = windows(0, 1), [windows(rank, size) for rank in range(size)]
    assert len(whole) == 4
    for number, (batch, views) in enumerate(whole):
        shares = [part[number] for part in parts]
        assert [view for _, views in shares for view in views] == views
        for name, value in batch.items():
            assert torch.equal(torch.cat([share[name] for share, _ in shares if len(share["row"])]), value), name
