"""A stage of several legs: one run with one curve, one series of checkpoints, and the same bits after any kill."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from components.core.engine.job import Job
from components.core.engine.phase import Ema, Handoff, Phase
from components.core.engine.progress import RATE
from components.core.engine.rates import Rates
from components.core.engine.schedule import factor, warmup_length
from components.core.engine.strategy import Custom
from components.core.errors import BadInput
from tests.engine.runs import Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyTask

BASE = Phase(epochs=0, batch_size=3, accumulate=2, losses={"mse": 1.0}, ema=Ema(decay=0.9), views=2)
STEPS = 4
"""Optimiser steps of an epoch: 23 samples, six at a time."""

LADDER = Custom(
    epochs=9,
    rate=0.05,
    warmup_epochs=1.0,
    unfreeze={0: ("head",), 2: ("stage4",), 4: ("early",), 6: ("stage3", "stage2")},
    factors={"stage4": 0.4, "early": 0.1},
)


class GroupedTask(ToyTask):
    """The toy's parts stand in groups; two groups are empty."""

    def groups(self, model: nn.Module) -> dict[str, list[str]]:
        return {"head": ["head"], "stage4": ["block"], "stage3": [], "stage2": [], "early": ["stem", "text"]}


def middle(strategy: Custom = LADDER, **changes: Any) -> list[Phase]:
    """The two legs of partial_unfreeze."""
    return strategy.phases("partial_unfreeze", BASE.model_copy(update=changes))


def legs_of(task: ToyTask, store: Path, phases: list[Phase], **changes: Any) -> Job:
    return job(task, store, phases[0], then=tuple(phases[1:]), **changes)


def test_each_leg_trains_its_own_groups_at_their_rates(tmp_path: Path) -> None:
    history = run(legs_of(GroupedTask(), tmp_path, middle())).history
    assert [row["epoch"] for row in history] == [0, 1, 2, 3], "epochs of the stage go on over its legs"
    trained = [{key.removeprefix(RATE) for key in row if key.startswith(RATE)} for row in history]
    assert trained == [{"head", "block"}] * 2 + [{"head", "block", "stem", "text"}] * 2


def test_one_cosine_runs_over_all_legs_and_only_what_is_new_warms_up(tmp_path: Path) -> None:
    long = Custom(epochs=60, rate=1.0, unfreeze={0: ("head",), 20: ("stage4", "stage3", "stage2"), 40: ("early",)})
    _, middle_leg, last = (
        phase for stage in ("warmup", "partial_unfreeze", "end_to_end") for phase in long.phases(stage, BASE)
    )  # type: ignore[arg-type]
    rates = Rates({"head": 1.0, "block": 1.0}, frozenset({"block"}), middle_leg, STEPS)
    warmup = warmup_length(STEPS, 20 * STEPS)
    assert warmup == STEPS, "one epoch"
    for step in range(20 * STEPS):
        curve = factor(20 * STEPS + step, 60 * STEPS, 0, "cosine")
        rising = min(1.0, (step + 1) / (warmup + 1))
        assert rates.at(step) == {"head": curve, "block": curve * rising}
    end = Rates({"head": 1.0}, frozenset(), last, STEPS)
    assert end.at(0)["head"] < rates.at(20 * STEPS - 1)["head"], "the curve goes on where the leg before left it"
    assert end.at(20 * STEPS - 1)["head"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("every_steps", [0, 1, 3])
@pytest.mark.parametrize("call", [2, 12, 16, 17, 18, 32])
def test_a_run_killed_in_any_leg_ends_with_the_same_bits(tmp_path: Path, call: int, every_steps: int) -> None:
    phases = middle()
    expected = run(legs_of(GroupedTask(), tmp_path / "whole", phases))
    settings = {"every_steps": every_steps}
    broken = GroupedTask()
    broken.on_objective = kill_at(call)
    with pytest.raises(Killed):
        run(legs_of(broken, tmp_path / "killed", phases, checkpoints=settings))
    resumed = run(legs_of(GroupedTask(), tmp_path / "killed", phases, checkpoints=settings))
    assert_same(resumed, expected)
    assert resumed.optimizer is not None and expected.optimizer is not None
    assert all(torch.equal(resumed.optimizer[name], value) for name, value in expected.optimizer.items())
    assert resumed.averages == expected.averages == 4 * STEPS


def test_the_optimisers_state_goes_from_leg_to_leg(tmp_path: Path) -> None:
    result = run(legs_of(GroupedTask(), tmp_path, middle()))
    assert result.optimizer is not None
    counted = {name.removesuffix("|step"): float(value) for name, value in result.optimizer.items() if "|step" in name}
    assert {count for name, count in counted.items() if name.startswith(("head", "block"))} == {4.0 * STEPS}
    assert {count for name, count in counted.items() if name.startswith("stem")} == {2.0 * STEPS}, "began later"


def test_batch_norms_of_frozen_groups_stay_still_until_their_leg(tmp_path: Path) -> None:
    only_head = Custom(epochs=4, rate=0.05, unfreeze={0: ("head",), 3: ("stage4",)})
    frozen = run(legs_of(GroupedTask(), tmp_path / "warmup", only_head.phases("warmup", BASE)))
    assert int(frozen.weights["block.1.num_batches_tracked"]) == 0
    thawed = run(legs_of(GroupedTask(), tmp_path / "middle", middle()))
    assert int(thawed.weights["block.1.num_batches_tracked"]) > 0


def test_frozen_layers_are_computed_once_per_leg_that_freezes_them(tmp_path: Path) -> None:
    task = GroupedTask()
    run(legs_of(task, tmp_path, middle()))
    first_leg = 23 * 2 + 7
    second_leg = 2 * 23 + 2 * 7  # two epochs of training and two validations, with the stem in every step
    assert task.stem_samples == first_leg + second_leg


def test_legs_do_not_repeat_the_order_of_samples(tmp_path: Path) -> None:
    seen: list[tuple[int, ...]] = []

    class Watched(GroupedTask):
        def objective(self, model: Any, batch: Any, features: Any, losses: Mapping[str, float]) -> Any:
            seen.append(tuple(batch["row"].tolist()))
            return super().objective(model, batch, features, losses)

    run(legs_of(Watched(), tmp_path, middle()))
    epochs = [seen[start : start + 8] for start in range(0, 32, 8)]
    assert len({tuple(rows) for rows in epochs}) == 4


def test_patience_ends_a_leg_and_begins_anew_with_the_next(tmp_path: Path) -> None:
    class Stuck(GroupedTask):
        def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
            return {"score": 1.0}

    slow = Custom(
        epochs=30, rate=0.05, unfreeze={0: ("head",), 1: ("stage4",), 10: ("early",), 29: ("stage3", "stage2")}
    )
    phases = middle(slow, patience=2)
    assert [phase.epochs for phase in phases] == [9, 19]
    result = run(legs_of(Stuck(), tmp_path, phases))
    assert len(result.history) == 3 + 3


def test_only_the_last_leg_is_extended(tmp_path: Path) -> None:
    result = run(legs_of(GroupedTask(), tmp_path, middle(), runtime={"extend_epochs": 2}))
    trained = [len([key for key in row if key.startswith(RATE)]) for row in result.history]
    assert trained == [2, 2, 4, 4, 4, 4]
    assert result.inexact == ["extended by 2 epochs"]


def test_the_last_leg_of_the_run_hands_on_its_best(tmp_path: Path) -> None:
    assert [phase.handoff for phase in LADDER.phases("end_to_end", BASE)] == [Handoff()]
    assert run(legs_of(GroupedTask(), tmp_path, LADDER.phases("end_to_end", BASE))).optimizer is None


@pytest.mark.parametrize(
    ("task", "told"),
    [(ToyTask(), "no layer group 'head'"), (GroupedTask(), "no layer group 'tail'")],
)
def test_a_group_the_model_does_not_have_is_refused_before_anything_trains(
    tmp_path: Path, task: ToyTask, told: str
) -> None:
    first, second = middle()
    wrong = second.model_copy(update={"trainable": {**second.trainable, "group:tail": 1.0}})
    with pytest.raises(BadInput, match=told):
        run(legs_of(task, tmp_path, [first, wrong]))
    assert not (tmp_path / "run").exists(), "the store was not touched"


def test_a_stage_without_a_leg_passes_the_optimiser_on(tmp_path: Path) -> None:
    late = Custom(epochs=3, rate=0.05, unfreeze={0: ("head",), 2: ("stage4", "stage3", "stage2", "early")})
    (passed,) = late.phases("partial_unfreeze", BASE)
    result = run(legs_of(GroupedTask(), tmp_path, [passed]))
    assert result.steps == 0
