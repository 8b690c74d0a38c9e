"""What every recipe promises the engine, tried on every one that has a params file."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from components import stages
from components.cli.values import PARAMS, configure, recipes
from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.config import presets, read_params, sizes
from components.core.engine.groups import freeze, owners
from components.core.engine.job import Result
from components.core.engine.layers import Layers
from components.core.engine.legs import train
from components.core.engine.phase import Phase
from components.core.engine.snapshot import put
from components.core.engine.strategy import Progressive, Strategy
from components.core.models.layer_groups import LAYER_GROUPS
from tests.contract.bench import PHASES, Bench, FewExamples, Trial

FEW = 4
PLAIN = {
    "schedule": "constant",
    "warmup_steps": 0,
    "warmup_epochs": 0.0,
    "layer_decay": 1.0,
    "views": 1,
    "mix": None,
    "accumulate": 1,
    "ema": None,
    "precision": "fp32",
}
"""A phase without anything that changes from step to step."""

SIZES = [(name, size) for name in recipes() for size in sizes(PARAMS / f"{name}.yaml")]
PRESETS = [(name, size, preset) for name, size in SIZES for preset in presets(PARAMS / f"{name}.yaml")]


@pytest.fixture(scope="module", params=recipes())
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench.of(request.param, tmp_path_factory.mktemp(request.param))


def total(terms: dict[str, float]) -> float:
    return sum(terms.values())


def part_of(bench: Bench, model: nn.Module) -> dict[str, str]:
    return owners(model, bench.task.parts(model))


def trains(bench: Bench, model: nn.Module, phase: Phase) -> set[str]:
    return set(Layers.of(bench.task, model).rates(phase))


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_the_values_of_every_size_are_valid(name: str, size: str) -> None:
    values = read_params(PARAMS / f"{name}.yaml", size)
    for stage in stages.NAMES:
        configure(stages.load(stage), values, f"{name}, {size}")


@pytest.mark.parametrize(("name", "size", "preset"), PRESETS)
def test_the_values_of_every_preset_are_valid_at_every_size(name: str, size: str, preset: str) -> None:
    values = read_params(PARAMS / f"{name}.yaml", size, preset=preset)
    for stage in stages.NAMES:
        configure(stages.load(stage), values, f"{name}, {size}, {preset}")


def test_every_tensor_has_one_part(bench: Bench) -> None:
    model = bench.task.build_model(0)
    owned = part_of(bench, model)
    assert set(model.state_dict()) <= set(owned)
    assert set(owned.values()) == set(bench.task.parts(model)), "a part without tensors"


def test_layer_groups_hold_the_models_parts_from_head_to_stem(bench: Bench) -> None:
    """What strategies thaw: parts in their order, none twice, and the stem among them."""
    model = bench.task.build_model(0)
    parts, groups = list(bench.task.parts(model)), Layers.of(bench.task, model).groups
    assert tuple(groups) == LAYER_GROUPS
    listed = [part for group in groups.values() for part in group]
    assert groups["head"] and len(listed) == len(set(listed)) and set(listed) <= set(parts)
    encoder = bench.task.encoder(model)
    assert encoder is not None
    of_encoder = {id(parameter) for parameter in encoder.module.parameters()}
    owned = part_of(bench, model)
    read = {owned[name] for name, parameter in model.named_parameters() if id(parameter) in of_encoder}
    assert read <= set(listed), "all of the encoder is thawed in the end"


@pytest.mark.parametrize("kind", ["none", "conservative", "balanced", "medical_optimized", "aggressive"])
def test_every_strategy_trains_every_recipe(bench: Bench, kind: str) -> None:
    strategy: Progressive = TypeAdapter(Strategy).validate_python(
        {"kind": kind, "epochs": 6, "rate": 1e-3, "fit_schedule": True}
    )
    model = bench.task.build_model(0)
    base = Phase(epochs=0, losses={"unused": 1.0})
    grown = set[str]()
    for stage in PHASES:
        for phase in strategy.phases(stage, base):  # type: ignore[arg-type]
            assert grown <= trains(bench, model, phase) or not phase.epochs, "what has begun goes on"
            grown |= trains(bench, model, phase)
    assert grown == {part for group in Layers.of(bench.task, model).groups.values() for part in group}


def test_the_model_is_a_function_of_the_seed(bench: Bench) -> None:
    first, torch_state = bench.task.build_model(3).state_dict(), torch.get_rng_state()
    second, other = bench.task.build_model(3).state_dict(), bench.task.build_model(4).state_dict()
    assert torch.equal(torch_state, torch.get_rng_state()), "the global generator is not the recipe's to move"
    assert [name for name in first if not torch.equal(first[name], second[name])] == []
    assert [name for name in first if not torch.equal(first[name], other[name])] != []


def test_four_images_are_overfitted(bench: Bench) -> None:
    phase = bench.phase("end_to_end", **PLAIN, batch_size=FEW, epochs=1000)
    trial = Trial(bench, "end_to_end", phase, FewExamples(bench.task, FEW))
    losses = []
    for done in trial.steps(150):
        losses.append(total(done.terms) / FEW)
        if losses[-1] < losses[0] / 2:
            return
    pytest.fail(f"the loss fell only from {losses[0]:.3f} to {min(losses):.3f}")


@pytest.mark.parametrize("name", PHASES)
def test_gradients_are_where_the_phase_trains_and_nowhere_else(bench: Bench, name: str) -> None:
    trial = Trial(bench, name, bench.phase(name))
    model = trial.run.model
    before = {key: value.detach().clone() for key, value in model.state_dict().items()}
    owned = part_of(bench, model)
    expected = trains(bench, model, trial.phase)
    assert expected, "a phase that trains nothing"
    seen = set[str]()
    for _ in trial.steps(2):
        seen |= {key for key, gradient in trial.gradients().items() if gradient.any()}
    parameters = [key for key, _ in model.named_parameters()]
    assert [
        key for key in parameters if (owned[key] in expected) != dict(model.named_parameters())[key].requires_grad
    ] == []
    assert {owned[key] for key in seen} == expected
    moved = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert {owned[key] for key in moved} == expected


@pytest.mark.parametrize("name", PHASES)
def test_the_loss_of_a_sample_is_its_own(bench: Bench, name: str) -> None:
    trial = Trial(bench, name, bench.phase(name, precision="fp32"))
    task, losses, model = bench.task, trial.phase.losses, trial.run.model
    for module in model.modules():
        if any(kind in type(module).__name__.lower() for kind in ("drop", "batchnorm")):
            module.eval()  # noise is drawn, and statistics are taken, for the batch as a whole
    fields = task.fields(losses) | trial.features.fields
    rows = list(range(FEW))
    batch = task.examples(bench.dataset, "train").load(rows, [()] * FEW, fields)
    together = task.objective(model, batch, trial.features.of(batch, [0] * FEW), losses).terms
    assert {key: tuple(value.shape) for key, value in together.items()} == dict.fromkeys(together, (FEW,))
    if task.couples(losses):
        return
    for row in rows:
        single = {key: value[row : row + 1] for key, value in batch.items()}
        alone = task.objective(model, single, trial.features.of(single, [0]), losses).terms
        for key, value in together.items():
            torch.testing.assert_close(value[row], alone[key][0], rtol=1e-4, atol=1e-6, msg=f"{key} of row {row}")


@pytest.mark.parametrize("name", PHASES)
def test_cached_features_change_no_loss(bench: Bench, name: str) -> None:
    """The losses of the first 20 steps agree to a relative 1e-5, though each run goes its own way."""
    phase = bench.phase(name, precision="fp32")
    on, off = Trial(bench, name, phase), Trial(bench, name, phase, cached=False)
    if name == "end_to_end" and not on.features.nbytes:
        pytest.skip("it trains from the stem on: there is nothing to cache")
    assert on.features.fields < off.features.fields, "nothing is cached"
    for step, (cached, direct) in enumerate(zip(on.steps(20), off.steps(20), strict=True)):
        assert total(cached.terms) == pytest.approx(total(direct.terms), rel=1e-5), step


@pytest.mark.parametrize("name", PHASES)
def test_cached_features_change_no_gradient(bench: Bench, name: str) -> None:
    """On the same weights: what differs is the gradient of one step, to 1e-4 of its norm, not a path of many."""
    phase = bench.phase(name, precision="fp32")
    on, off = Trial(bench, name, phase), Trial(bench, name, phase, cached=False)
    for step, _ in enumerate(zip(on.steps(8), off.steps(8), strict=True)):
        here, there = on.gradients(), off.gradients()
        assert here.keys() == there.keys()
        apart = torch.stack([(here[key] - there[key]).norm() for key in there]).norm()
        assert apart <= 1e-4 * torch.stack([value.norm() for value in there.values()]).norm(), step
        put(off.run.model, on.run.model.state_dict())


def artifact(bench: Bench, result: Result) -> ModelArtifact:
    meta = ModelMeta(
        recipe={}, phase="", step=result.steps, metrics=result.summary, history=[], decision=result.decision,
        data_digest="", parent_digest=None, environment={}, extra={},
    )  # fmt: skip
    return ModelArtifact(result.weights, None, meta, "")


def test_a_later_phase_freezes_what_it_does_not_list(bench: Bench) -> None:
    """Whatever an earlier phase trained: here end_to_end comes first, and warmup after it."""
    task = FewExamples(bench.task, FEW)

    def trained(name: str, start: ModelArtifact | None) -> Result:
        job = bench.job(name, bench.phase(name, epochs=1), task, start)
        with bench.tracker(job) as tracker:
            return train(job, tracker)

    first = trained("end_to_end", None)
    second = trained("warmup", artifact(bench, first))
    model = bench.task.build_model(0)
    owned = part_of(bench, model)
    expected = trains(bench, model, bench.phase("warmup"))
    refrozen = trains(bench, model, bench.phase("end_to_end")) - expected
    assert refrozen, "nothing to refreeze"
    moved = {owned[key] for key, value in second.weights.items() if not torch.equal(value, first.weights[key])}
    assert moved == expected
    freeze(model, owned, refrozen)
    freeze(model, owned, expected)
    assert {owned[key] for key, value in model.named_parameters() if value.requires_grad} == expected
