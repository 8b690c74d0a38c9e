"""The training task: prefixes that change nothing, gradients by phase, terms per sample, validation's choice."""

from collections.abc import Callable, Iterator, Mapping

import pytest
import torch
from torch import Tensor

from components.core.data.dataset import Dataset
from components.core.engine.groups import freeze, owners
from components.core.engine.task import Prefix, Task
from components.core.errors import BadInput
from components.core.models.sam import SamTower
from components.recipes.freqmedclip.examples import SegmentationExamples
from components.recipes.freqmedclip.model import FreqMedClip
from components.recipes.freqmedclip.model_config import Early, ModelConfig
from components.recipes.freqmedclip.task import FreqMedClipTask

WARMUP = {"seg": 1.0, "hinge": 1.0}
PARTIAL = {**WARMUP, "contrastive": 0.3, "sharpness": 0.2}
END_TO_END = {"sam_seg": 1.0, "hinge": 1.0, "saliency": 0.5, "prompt_quality": 0.3, "consistency": 0.2}
FREQUENCY = {"saliency_head", "fusion_gate", "freq_projection"}
VISION = {"vision.head", "vision.blocks.1", "vision.blocks.0", "vision.embed"}
SAM = {"sam.decoder", "sam.neck", "sam.prompt"}

Make = Callable[[ModelConfig], FreqMedClipTask]
Tensors = dict[str, Tensor]


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def load(
    task: FreqMedClipTask, dataset: Dataset, split: str = "train", count: int = 4
) -> tuple[SegmentationExamples, Tensors]:
    examples = task.examples(dataset, split)
    fields = frozenset({"image", "mask", "sam_image", "prompt", "caption"})
    return examples, examples.load(range(count), [()] * count, fields)


def compute(prefixes: list[Prefix], batch: Tensors) -> Tensors:
    """As the engine does: tables once, everything else per sample."""
    with torch.no_grad():
        return {p.name: p.compute(batch) if p.table is None else p.compute(p.table)[batch[p.index]] for p in prefixes}


def step(
    task: FreqMedClipTask, dataset: Dataset, losses: Mapping[str, float], trainable: set[str]
) -> tuple[FreqMedClip, Tensors, list[str]]:
    """One backward pass of a phase: the model, the terms and the prefixes' names."""
    model = task.build_model(0)
    parts = task.parts(model)
    freeze(model, owners(model, parts), trainable)
    examples, batch = load(task, dataset)
    prefixes = task.prefixes(model, examples, frozenset(parts) - trainable, losses)
    objective = task.objective(model, batch, compute(prefixes, batch), losses)
    torch.stack(list(objective.terms.values())).sum(dim=0).mean().backward()
    return model, objective.terms, [prefix.name for prefix in prefixes]


def reached(task: FreqMedClipTask, model: FreqMedClip) -> set[str]:
    """Parts with a gradient other than zero."""
    owned = owners(model, task.parts(model))
    return {owned[name] for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    ("losses", "trainable", "late", "early"),
    [
        (WARMUP, FREQUENCY, ["prompt", "vision:2"], ["prompt", "vision:1"]),
        (
            PARTIAL,
            FREQUENCY | {"vision.head", "vision.blocks.1"},
            ["prompt", "caption", "vision:1"],
            ["prompt", "caption", "vision:1"],
        ),
        (END_TO_END, FREQUENCY | VISION | SAM, ["prompt", "sam:trunk"], ["prompt", "sam:trunk"]),
        (END_TO_END, FREQUENCY, ["prompt", "vision:2", "sam:embedding"], ["prompt", "vision:1", "sam:embedding"]),
    ],
    ids=["warmup", "partial_unfreeze", "end_to_end", "sam frozen"],
)
def test_gradients_reach_exactly_what_trains(
    any_config: ModelConfig,
    make_task: Make,
    dataset: Dataset,
    losses: dict[str, float],
    trainable: set[str],
    late: list[str],
    early: list[str],
) -> None:
    task = make_task(any_config)
    model, terms, names = step(task, dataset, losses, trainable)
    assert names == (late if model.injection == model.clip.depth else early)
    assert reached(task, model) == trainable
    assert set(terms) == set(losses)
    assert all(value.shape == (4,) and value.isfinite().all() for value in terms.values())


@pytest.mark.parametrize(
    ("term", "beyond_the_head"),
    [
        ("seg", FREQUENCY | VISION),
        ("hinge", set()),
        ("contrastive", VISION),
        ("sharpness", FREQUENCY | VISION),
        ("saliency", FREQUENCY | VISION),
        ("prompt_quality", FREQUENCY | VISION),
        ("sam_seg", FREQUENCY | VISION | SAM),
        ("consistency", FREQUENCY | VISION),
    ],
)
def test_what_each_term_teaches(task: FreqMedClipTask, dataset: Dataset, term: str, beyond_the_head: set[str]) -> None:
    """With late injection: the class token never sees frequencies, SAM's target is a constant to the consistency."""
    model, _, _ = step(task, dataset, {term: 1.0}, FREQUENCY | VISION | SAM)
    assert reached(task, model) == beyond_the_head


def test_hinge_pulls_alpha_back_and_rests_inside(task: FreqMedClipTask, dataset: Dataset) -> None:
    examples, batch = load(task, dataset)
    model = task.build_model(0)
    features = compute(task.prefixes(model, examples, frozenset(task.parts(model)), {"hinge": 1.0}), batch)
    for alpha, slope in ((0.02, -1.0), (0.3, 0.0), (0.7, 1.0)):
        with torch.no_grad():
            model.fusion_gate.fusion_alpha.fill_(alpha)
        model.zero_grad()
        task.objective(model, batch, features, {"hinge": 1.0}).terms["hinge"].mean().backward()
        assert model.fusion_gate.fusion_alpha.grad is not None
        assert model.fusion_gate.fusion_alpha.grad.item() == pytest.approx(slope)


def test_cached_prefixes_change_no_loss(any_config: ModelConfig, make_task: Make, dataset: Dataset) -> None:
    task = make_task(any_config)
    losses = {**PARTIAL, **END_TO_END}
    results = []
    for trainable in (FREQUENCY, FREQUENCY | {"vision.blocks.1", "sam.neck"}, FREQUENCY | VISION | SAM):
        _, terms, _ = step(task, dataset, losses, trainable)
        results.append(terms)
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-5, atol=1e-6)


def test_the_vision_prefix_never_passes_the_injection(config: ModelConfig, make_task: Make, dataset: Dataset) -> None:
    task = make_task(config.model_copy(update={"injection": Early(block=0)}))
    _, _, names = step(task, dataset, WARMUP, FREQUENCY | {"vision.blocks.1"})
    assert names == ["prompt", "vision:0"]


def test_terms_are_per_sample(task: FreqMedClipTask, dataset: Dataset) -> None:
    losses = {**WARMUP, "sharpness": 0.2, **END_TO_END}
    model = task.build_model(0)
    examples, batch = load(task, dataset)
    features = compute(task.prefixes(model, examples, frozenset(task.parts(model)), losses), batch)
    together = task.objective(model, batch, features, losses).terms
    assert task.couples(losses) == ""
    for i in range(4):
        one = slice(i, i + 1)
        alone = task.objective(
            model, {k: v[one] for k, v in batch.items()}, {k: v[one] for k, v in features.items()}, losses
        )
        for name, value in alone.terms.items():
            torch.testing.assert_close(value, together[name][one], rtol=1e-4, atol=1e-5)


def test_weights_multiply_and_a_zero_weight_costs_nothing(task: FreqMedClipTask, dataset: Dataset) -> None:
    model = task.build_model(0)
    examples, batch = load(task, dataset)
    features = compute(task.prefixes(model, examples, frozenset(task.parts(model)), WARMUP), batch)
    once = task.objective(model, batch, features, {"seg": 1.0}).terms["seg"]
    found = task.objective(model, batch, features, {"seg": 3.0, "sam_seg": 0.0, "contrastive": 0.0})
    assert set(found.terms) == {"seg"}
    torch.testing.assert_close(found.terms["seg"], 3 * once)
    assert found.scalars["fusion_alpha"] == pytest.approx(0.1)


def test_warmup_never_asks_sam(task: FreqMedClipTask, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise AssertionError("SAM was asked")

    for name in ("trunk", "neck", "decode"):
        monkeypatch.setattr(SamTower, name, refused)
    model, _, _ = step(task, dataset, WARMUP, FREQUENCY)
    examples, batch = load(task, dataset, "val", 2)
    features = compute(task.prefixes(model, examples, frozenset(task.parts(model)), WARMUP), batch)
    measured = task.measure(model, batch, features, WARMUP)
    assert "dice_saliency" in measured
    assert "dice_sam" not in measured
    assert "sam_image" not in task.fields(WARMUP)


def test_a_flat_picture_and_an_empty_mask_give_finite_gradients(task: FreqMedClipTask, dataset: Dataset) -> None:
    losses = {**PARTIAL, **END_TO_END}
    model = task.build_model(0)
    examples, batch = load(task, dataset)
    batch = {k: torch.zeros_like(v) if k in ("image", "sam_image", "mask") else v for k, v in batch.items()}
    frozen = frozenset(task.parts(model)) - FREQUENCY - VISION - SAM
    objective = task.objective(model, batch, compute(task.prefixes(model, examples, frozen, losses), batch), losses)
    torch.stack(list(objective.terms.values())).sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


def test_a_few_steps_learn_the_batch(task: FreqMedClipTask, dataset: Dataset) -> None:
    """The seed's losses could not: thresholded masks have no gradient."""
    losses = {**PARTIAL, **END_TO_END}
    model = task.build_model(0)
    trainable = FREQUENCY | VISION | SAM
    parts = task.parts(model)
    freeze(model, owners(model, parts), trainable)
    examples, batch = load(task, dataset)
    features = compute(task.prefixes(model, examples, frozenset(parts) - trainable, losses), batch)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    totals = []
    for _ in range(60):
        total = torch.stack(list(task.objective(model, batch, features, losses).terms.values())).sum(dim=0).mean()
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        totals.append(total.item())
    assert totals[-1] < 0.75 * totals[0]
    summary = task.summarise(task.measure(model.eval(), batch, features, losses))
    assert summary["dice"] > 0.6


def test_couples_and_fields(task: FreqMedClipTask) -> None:
    assert "contrastive" in task.couples(PARTIAL)
    assert task.couples({**END_TO_END, "contrastive": 0.0}) == ""
    assert task.fields(WARMUP) == {"image", "mask"}
    assert task.fields(PARTIAL) == {"image", "mask", "caption"}


@pytest.mark.parametrize("part", ["text", "sam.trunk"])
def test_towers_that_stay_frozen(task: FreqMedClipTask, dataset: Dataset, part: str) -> None:
    model = task.build_model(0)
    with pytest.raises(BadInput, match="cannot train"):
        task.prefixes(model, task.examples(dataset, "train"), frozenset(task.parts(model)) - {part}, WARMUP)


def test_validation_chooses_the_mask(task: FreqMedClipTask) -> None:
    nan = float("nan")
    measured = {
        "dice_saliency": torch.tensor([0.5, nan, 0.7]),
        "dice_sam": torch.tensor([0.8, nan, 0.6]),
        "dice_mean": torch.tensor([0.1, nan, 0.2]),
        "iou_sam": torch.tensor([0.7, nan, 0.5]),
        "prompt_box_iou": torch.tensor([nan, nan, nan]),
    }
    summary = task.summarise(measured)
    assert summary["dice"] == summary["dice_sam"] == pytest.approx(0.7)
    assert summary["iou"] == pytest.approx(0.6)
    assert "prompt_box_iou" not in summary
    assert task.decide(summary) == {"mask": "sam"}
    with pytest.raises(BadInput, match="no validation sample"):
        task.summarise({"dice_saliency": torch.tensor([nan])})


def test_predictions_of_an_empty_saliency_are_empty(task: FreqMedClipTask, dataset: Dataset) -> None:
    model = task.build_model(0).eval()
    with torch.no_grad():
        model.saliency_head.bias.fill_(-100.0)
    examples, batch = load(task, dataset, "val", 2)
    losses = task.evaluation_losses()
    features = compute(task.prefixes(model, examples, frozenset(task.parts(model)), losses), batch)
    predicted = task.predict(model, batch, features)
    assert list(predicted) == ["saliency", "sam", "mean"]
    assert all(value.shape == (2, 32, 32) and value.max() < 0.5 for value in predicted.values())


def test_it_is_a_task(task: FreqMedClipTask) -> None:
    checked: Task = task
    assert checked.monitor == "dice"
