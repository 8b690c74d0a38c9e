"""One optimiser step: exact accumulation, memory back-off, and samples named when a value is not finite."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures
from components.core.engine.groups import freeze, optimizer_groups, owners, set_train_mode
from components.core.engine.step import NonFinite, OutOfMemory, Stepper
from components.core.engine.task import Batch
from components.core.runtime import Runtime
from tests.engine.toy import ToyTask

LOSSES = {"mse": 1.0}


def window(task: ToyTask, rows: list[int]) -> Batch:
    return task.examples(None, "train").load(rows, [()] * len(rows), task.fields(LOSSES))


def stepper(task: ToyTask, **changes: Any) -> tuple[Stepper, nn.Module]:
    device = Device(Runtime(device="cpu"))
    model = task.build_model(0)
    owned = owners(model, task.parts(model))
    rates = {"head": 0.1, "block": 0.1}
    freeze(model, owned, rates)
    set_train_mode(model)
    examples = task.examples(None, "train")
    prefixes = task.prefixes(model, examples, frozenset({"stem", "text"}), LOSSES)
    values: dict[str, Any] = {
        "task": task,
        "model": model,
        "optimizer": device.prepare(torch.optim.SGD(optimizer_groups(model, owned, rates, 0.0))),
        "device": device,
        "losses": LOSSES,
        "features": FrozenFeatures(model, owned, prefixes, examples, None, None, device),
        "ids": examples.ids,
        "clip": 1e9,
        "seed": 0,
    }
    return Stepper(**{**values, **changes}), model


def weights(model: nn.Module) -> Mapping[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


@pytest.mark.parametrize("micro", [1, 2, 3, 5])
def test_accumulation_equals_one_batch_also_when_the_last_piece_is_short(micro: int) -> None:
    rows = [3, 1, 4, 15, 9]
    results = []
    for size in (5, micro):
        task = ToyTask(norm=False)
        step, model = stepper(task)
        done = step.run(window(task, rows), [0] * 5, 0, size)
        results.append((weights(model), done))
    (whole, first), (pieces, second) = results
    for name, value in whole.items():
        assert torch.allclose(value, pieces[name], atol=1e-7), name
    assert first.terms["mse"] == pytest.approx(second.terms["mse"], rel=1e-6)
    assert first.norm == pytest.approx(second.norm, rel=1e-5)


def test_a_short_last_window_is_stepped_with_its_true_size() -> None:
    """The seed divides by the configured number of micro-batches: a short window would get too small a step."""
    task = ToyTask(norm=False)
    step, model = stepper(task)
    step.run(window(task, [3, 1]), [0, 0], 0, 1)
    reference, expected = stepper(task)
    reference.run(window(task, [3, 1]), [0, 0], 0, 2)
    for name, value in weights(model).items():
        assert torch.allclose(value, weights(expected)[name], atol=1e-7)


def test_clipping_bounds_the_true_gradient() -> None:
    task = ToyTask(norm=False)
    step, model = stepper(task, clip=1e-3)
    before = weights(model)
    done = step.run(window(task, [0, 1]), [0, 0], 0, 2)
    moved = sum(((before[name] - value) ** 2).sum() for name, value in weights(model).items()).sqrt()
    assert done.norm > 1e-3
    assert float(moved) == pytest.approx(0.1 * 1e-3, rel=1e-3), "learning rate times clipped norm"


def test_out_of_memory_halves_the_micro_batch_and_changes_nothing_else() -> None:
    task = ToyTask(norm=False)
    task.memory = 2
    step, model = stepper(task)
    done = step.run(window(task, [3, 1, 4, 15, 9, 2, 6, 5]), [0] * 8, 0, 8)
    assert done.micro_batch == 2
    calm = ToyTask(norm=False)
    reference, expected = stepper(calm)
    reference.run(window(calm, [3, 1, 4, 15, 9, 2, 6, 5]), [0] * 8, 0, 8)
    for name, value in weights(model).items():
        assert torch.allclose(value, weights(expected)[name], atol=1e-7)


def test_a_coupled_batch_is_never_halved_in_silence() -> None:
    task = ToyTask(coupled="NT-Xent needs every negative")
    task.memory = 3
    step, _ = stepper(task)
    with pytest.raises(OutOfMemory, match="must not be split: NT-Xent") as caught:
        step.run(window(task, list(range(8))), [0] * 8, 0, 8)
    assert "largest batch that fits is 2" in caught.value.remedy


def test_a_batch_under_batch_norm_is_never_halved_in_silence() -> None:
    """Half a batch has other statistics, so the result would depend on the memory of the machine."""
    task = ToyTask(norm=True)
    task.memory = 3
    step, model = stepper(task)
    model.train()
    with pytest.raises(OutOfMemory, match="statistics of its batch"):
        step.run(window(task, list(range(8))), [0] * 8, 0, 8)


def test_one_sample_that_does_not_fit_is_an_error() -> None:
    task = ToyTask(norm=False)
    task.memory = 0
    step, _ = stepper(task)
    with pytest.raises(OutOfMemory, match="one sample"):
        step.run(window(task, [1, 2]), [0, 0], 0, 2)


def test_a_loss_that_is_not_finite_names_its_samples_and_leaves_the_weights() -> None:
    task = ToyTask(norm=False)
    task.poison = {4, 15}
    step, model = stepper(task)
    before = weights(model)
    with pytest.raises(NonFinite, match="not finite in mse") as caught:
        step.run(window(task, [3, 4, 1, 15]), [0] * 4, 0, 2)
    assert caught.value.where == "samples train-4", "the first micro-batch with one stops"
    for name, value in weights(model).items():
        assert torch.equal(value, before[name])
