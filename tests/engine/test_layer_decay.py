"""Rates that fall from head to stem, and warm-ups given in epochs: as told to the history, the tracker and the plan."""

from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import timm
from rich.console import Console
from timm.optim import param_groups_layer_decay
from torch import nn

from components.core.engine.groups import layer_rates, owners
from components.core.engine.legs import train
from components.core.engine.phase import Phase
from components.core.engine.schedule import longer_warmup, warmup_length
from components.core.tracking.overview import plan_table
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from pipelines.doctor import part_rows
from tests.engine.runs import PHASE, job, run
from tests.engine.toy import ToyTask

VIT: dict[str, list[str]] = {
    "head": ["head"],
    "block.2": ["norm", "blocks.2"],
    "block.1": ["blocks.1"],
    "block.0": ["blocks.0"],
    "embedding": ["patch_embed", "cls_token", "pos_embed"],
}


def phase(trainable: dict[str, float], decay: float) -> Phase:
    return Phase(epochs=1, trainable=trainable, losses={"ce": 1.0}, layer_decay=decay)


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=3, embed_dim=12, num_heads=3, num_classes=4, pretrained=False
    )


def test_rates_are_timms_where_all_layers_train(vit: nn.Module) -> None:
    owned = owners(vit, VIT)
    rates = layer_rates(vit, owned, VIT, phase({"*": 2e-3}, 0.65))
    theirs = {
        id(parameter): group["lr_scale"] * 2e-3
        for group in param_groups_layer_decay(vit, layer_decay=0.65)
        for parameter in group["params"]
    }
    for name, parameter in vit.named_parameters():
        assert rates[owned[name]] == pytest.approx(theirs[id(parameter)], rel=1e-12), name
    assert len(set(rates.values())) == 5


def test_depth_counts_the_parts_that_train(vit: nn.Module) -> None:
    """timm counts frozen layers too: here the first part that trains keeps the rate that was configured for it."""
    owned = owners(vit, VIT)
    assert layer_rates(vit, owned, VIT, phase({"block.*": 1e-2}, 0.5)) == {
        "block.2": 1e-2,
        "block.1": 5e-3,
        "block.0": 2.5e-3,
    }
    several = layer_rates(vit, owned, VIT, phase({"head": 1e-1, "block.1": 1e-2, "embedding": 1e-3}, 0.5))
    assert several == {"head": 1e-1, "block.1": 5e-3, "embedding": 2.5e-4}, "of each part's own rate"


def test_parts_without_parameters_do_not_count(vit: nn.Module) -> None:
    parts = {"head": VIT["head"], "attention": [], **{part: roots for part, roots in VIT.items() if part != "head"}}
    rates = layer_rates(vit, owners(vit, parts), parts, phase({"*": 1.0}, 0.5))
    assert rates["block.2"] == 0.5


def test_without_decay_rates_are_the_very_ones_configured(vit: nn.Module) -> None:
    rates = layer_rates(vit, owners(vit, VIT), VIT, phase({"*": 1e-4, "head": 3e-3}, 1.0))
    assert rates == {"head": 3e-3, "block.2": 1e-4, "block.1": 1e-4, "block.0": 1e-4, "embedding": 1e-4}


class Told(Tracker):
    """Keeps what it is told of rates."""

    plans: list[Any]
    rates: list[dict[str, float]]

    def plan(self, plan: Any) -> None:
        self.plans.append(plan)

    def step(self, *values: Any, **named: Any) -> None:
        self.rates.append(dict(values[4]))


def test_decayed_rates_are_shown_wherever_rates_are(tmp_path: Path) -> None:
    decaying = PHASE.model_copy(update={"trainable": {"*": 0.04}, "layer_decay": 0.5, "schedule": "constant"})
    given = job(ToyTask(), tmp_path, decaying.model_copy(update={"warmup_steps": 0}))
    with Told(given.runtime, RunLabels("toy", "toy")) as tracker:
        tracker.plans, tracker.rates = [], []
        result = train(given, tracker)
    expected = {"head": 0.04, "block": 0.02, "stem": 0.01, "text": 0.005}
    assert tracker.rates == [expected] * 16
    for row in result.history:
        assert {part: row[f"rate/{part}"] for part in expected} == expected
    (plan,) = tracker.plans
    assert plan.rates == expected
    console = Console(width=100, record=True, file=StringIO())
    console.print(plan_table(plan))
    assert "18 at 0.005" in console.export_text(), "three words of six numbers"
    rehearsal = SimpleNamespace(task=ToyTask(), seed=0, subjects={}, phases={"end_to_end": decaying})
    assert {row.name: row.rates["end_to_end"] for row in part_rows(rehearsal)} == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps", "epochs", "expected"),
    [(0, 0.0, 0), (7, 0.0, 7), (7, 0.5, 8), (0, 0.28, 4), (0, 0.72, 12), (40, 2.0, 40), (0, 2.0, 32)],
)
def test_the_longer_warmup_holds(steps: int, epochs: float, expected: int) -> None:
    assert longer_warmup(steps, epochs, steps_per_epoch=16) == expected


def test_a_warmup_in_epochs_is_the_same_in_steps_and_is_capped_alike(tmp_path: Path) -> None:
    long = PHASE.model_copy(update={"epochs": 10, "warmup_steps": 0})  # of 4 steps each
    by_epochs = run(job(ToyTask(), tmp_path / "epochs", long.model_copy(update={"warmup_epochs": 0.75})))
    by_steps = run(job(ToyTask(), tmp_path / "steps", long.model_copy(update={"warmup_steps": 3})))
    assert by_epochs.history == by_steps.history
    without = run(job(ToyTask(), tmp_path / "none", long))
    assert by_epochs.history != without.history
    capped = run(job(ToyTask(), tmp_path / "capped", long.model_copy(update={"warmup_epochs": 8.0})))
    four = run(job(ToyTask(), tmp_path / "four", long.model_copy(update={"warmup_steps": warmup_length(99, 40)})))
    assert capped.history == four.history
