"""A phase interrupted anywhere ends with the same bits as one that was not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.engine.device import Device
from components.core.engine.job import Job, Result
from components.core.engine.legs import train
from components.core.engine.phase import Ema, Handoff, Phase
from components.core.engine.step import NonFinite
from components.core.errors import BadInput
from components.core.identity import Identity
from components.core.runtime import Cache, Checkpoints, Runtime
from components.core.store import Conflict
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.engine.toy import ToyTask

PHASE = Phase(
    epochs=4,
    batch_size=3,
    accumulate=2,
    trainable={"head": 0.05, "block": 0.02},
    losses={"mse": 1.0},
    warmup_steps=100,
    ema=Ema(decay=0.9),
    views=2,
)


class Killed(BaseException):
    """Stands for kill -9: nothing handles it."""


def job(task: ToyTask, store: Path, phase: Phase = PHASE, **changes: Any) -> Job:
    runtime = changes.pop("runtime", {})
    settings = {"store": None, "every_steps": 1, **changes.pop("checkpoints", {})}
    values = {
        "task": task,
        "phase": phase,
        "name": "toy",
        "seed": 5,
        "runtime": Runtime(
            device="cpu",
            progress=False,
            cache=Cache(dir=store / "cache"),
            checkpoints=Checkpoints(**settings),
            **runtime,
        ),
        "dataset": None,
        "start": None,
        "identity": Identity("toy", "code", {"phase": phase.model_dump(mode="json")}, {}),
        "store": str(store / "run"),
    }
    return Job(**{**values, **changes})


def run(given: Job) -> Result:
    with Tracker(given.runtime, RunLabels("toy", "toy")) as tracker:
        return train(given, tracker)


def assert_same(found: Result, expected: Result) -> None:
    for name, value in expected.weights.items():
        assert torch.equal(found.weights[name], value), name
    assert found.history == expected.history
    assert (found.summary, found.decision, found.steps) == (expected.summary, expected.decision, expected.steps)


def kill_at(call: int) -> Callable[[], None]:
    seen = [0]

    def count() -> None:
        seen[0] += 1
        if seen[0] == call:
            raise Killed

    return count


@pytest.mark.parametrize("workers", [0, 2])
def test_two_runs_are_equal_whatever_loads_the_samples(tmp_path: Path, workers: int) -> None:
    first = run(job(ToyTask(), tmp_path / "a"))
    assert_same(run(job(ToyTask(), tmp_path / "b", runtime={"workers": workers})), first)
    assert first.steps == 4 * 4
    assert first.history[-1]["train/loss"] < first.history[0]["train/loss"]


@pytest.mark.parametrize("every_steps", [0, 1, 3])
@pytest.mark.parametrize("call", [1, 8, 9, 31])
def test_a_run_killed_in_any_micro_batch_ends_with_the_same_bits(tmp_path: Path, call: int, every_steps: int) -> None:
    expected = run(job(ToyTask(), tmp_path / "whole"))
    settings = {"every_steps": every_steps}
    broken = ToyTask()
    broken.on_objective = kill_at(call)
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "killed", checkpoints=settings))
    assert_same(run(job(ToyTask(), tmp_path / "killed", checkpoints=settings)), expected)


def test_a_kill_costs_at_most_the_work_since_the_last_checkpoint(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    with pytest.raises(Killed):
        run(job(broken, tmp_path, checkpoints={"every_steps": 2}))
    resumed = ToyTask()
    calls = []
    resumed.on_objective = lambda: calls.append(1)
    run(job(resumed, tmp_path, checkpoints={"every_steps": 2}))
    micro_batches = 4 * (2 + 2 + 2 + 2)
    assert len(calls) <= micro_batches - 19 + 2 * 2 + 1
    assert resumed.stem_samples == 0, "what was frozen before the kill is read, not computed again"


def test_a_finished_run_only_hands_its_result_over(tmp_path: Path) -> None:
    expected = run(job(ToyTask(), tmp_path))
    again = ToyTask()
    again.on_objective = kill_at(1)
    assert_same(run(job(again, tmp_path)), expected)


def test_frozen_tensors_and_buffers_keep_their_bits(tmp_path: Path) -> None:
    task = ToyTask()
    result = run(job(task, tmp_path))
    start = task.build_model(5).state_dict()
    for name, value in start.items():
        moved = not torch.equal(result.weights[name], value)
        assert moved is name.startswith(("head", "block")), name


def test_the_best_weights_are_handed_on_unless_the_last_are_asked_for(tmp_path: Path) -> None:
    class Falling(ToyTask):
        """Every validation is worse than the one before."""

        scores = 0.0

        def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
            self.scores -= 1.0
            return {"score": self.scores}

    best = run(job(Falling(), tmp_path / "best"))
    assert best.summary == {"score": -1.0}
    last_phase = PHASE.model_copy(update={"handoff": Handoff(weights="last", optimizer="keep")})
    last = run(job(Falling(), tmp_path / "last", last_phase))
    assert last.summary == {"score": -4.0}
    assert not torch.equal(best.weights["head.weight"], last.weights["head.weight"])
    assert best.optimizer is None
    assert last.optimizer is not None
    assert "head.weight|exp_avg" in last.optimizer


def test_kept_optimiser_state_starts_the_next_phase(tmp_path: Path) -> None:
    keep = PHASE.model_copy(update={"handoff": Handoff(weights="last", optimizer="keep")})
    first = run(job(ToyTask(), tmp_path / "first", keep))
    meta = ModelMeta(recipe={}, phase="toy", step=1, metrics=first.summary, decision=first.decision)
    ModelArtifact.save(tmp_path / "model", first.weights, first.optimizer, meta)
    start = ModelArtifact.load(tmp_path / "model")
    none = PHASE.model_copy(update={"epochs": 0, "handoff": Handoff(weights="last", optimizer="keep")})
    passed = run(job(ToyTask(), tmp_path / "none", none, start=start))
    assert_state(passed.optimizer, first.optimizer)
    for name, value in first.weights.items():
        assert torch.equal(passed.weights[name], value), "a phase of no epochs passes its input through"
    assert passed.summary == first.summary


def assert_state(found: dict[str, torch.Tensor] | None, expected: dict[str, torch.Tensor] | None) -> None:
    assert found is not None
    assert expected is not None
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


def test_early_stopping_ends_the_phase_and_stays_ended_after_a_restart(tmp_path: Path) -> None:
    class Stuck(ToyTask):
        def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
            return {"score": 1.0}

    patient = PHASE.model_copy(update={"patience": 2, "epochs": 10})
    result = run(job(Stuck(), tmp_path, patient))
    assert len(result.history) == 3
    again = Stuck()
    again.on_objective = kill_at(1)
    assert_same(run(job(again, tmp_path, patient)), result)


def test_patience_counts_epochs_and_not_validations(tmp_path: Path) -> None:
    class Stuck(ToyTask):
        def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
            return {"score": 1.0}

    patient = PHASE.model_copy(update={"patience": 4, "validate_every": 2, "epochs": 20})
    result = run(job(Stuck(), tmp_path, patient))
    assert len(result.history) == 6, "best at epoch 2, validated every second epoch, four epochs of patience"


def test_half_precision_trains_and_resumes_exactly(tmp_path: Path) -> None:
    half = PHASE.model_copy(update={"precision": "bf16"})
    expected = run(job(ToyTask(), tmp_path / "whole", half))
    assert expected.environment["precision"] == "bf16"
    assert expected.weights["head.weight"].dtype == torch.float32, "weights stay in full precision"
    broken = ToyTask()
    broken.on_objective = kill_at(9)
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "killed", half))
    assert_same(run(job(ToyTask(), tmp_path / "killed", half)), expected)
    full = run(job(ToyTask(), tmp_path / "full"))
    assert not torch.equal(full.weights["head.weight"], expected.weights["head.weight"])


class CountingScaler:
    """Stands for fp16's loss scaler, which has a state of its own and exists on CUDA alone."""

    def __init__(self) -> None:
        self.steps = 0

    def state_dict(self) -> dict[str, int]:
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.steps = state["steps"]


def test_the_loss_scaler_goes_on_from_the_step_and_not_from_the_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def train_with(scaler: CountingScaler, task: ToyTask) -> None:
        monkeypatch.setattr(Device, "scaler", scaler)

        def count() -> None:
            scaler.steps += 1

        before = task.on_objective
        task.on_objective = lambda: (before(), count())[1]
        run(job(task, tmp_path))

    broken = ToyTask()
    broken.on_objective = kill_at(5)  # in the third of four windows of two micro-batches
    with pytest.raises(Killed):
        train_with(CountingScaler(), broken)
    resumed = CountingScaler()
    train_with(resumed, ToyTask())
    assert resumed.steps == 4 * 8, "four epochs of eight micro-batches, none forgotten and none counted twice"


def test_unfinished_work_of_other_values_stops_the_run_and_names_them(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    with pytest.raises(Killed):
        run(job(broken, tmp_path))
    other = PHASE.model_copy(update={"weight_decay": 0.5})
    with pytest.raises(BadInput, match=r"config\.phase\.weight_decay: now 0\.5, in the checkpoint 0\.0001") as caught:
        run(job(ToyTask(), tmp_path, other))
    assert "--restart" in caught.value.remedy
    fresh = run(job(ToyTask(), tmp_path, other, runtime={"restart": True}))
    assert_same(fresh, run(job(ToyTask(), tmp_path / "fresh", other)))


def test_finished_work_of_other_values_makes_room(tmp_path: Path) -> None:
    run(job(ToyTask(), tmp_path))
    other = PHASE.model_copy(update={"weight_decay": 0.5})
    assert_same(run(job(ToyTask(), tmp_path, other)), run(job(ToyTask(), tmp_path / "fresh", other)))


def test_another_environment_is_refused_unless_allowed_and_then_recorded(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    threads = torch.get_num_threads()
    try:
        with pytest.raises(Killed):
            run(job(broken, tmp_path, runtime={"threads": 1}))
        with pytest.raises(BadInput, match="threads: now '2', in the checkpoint '1'") as caught:
            run(job(ToyTask(), tmp_path, runtime={"threads": 2}))
        assert "--allow-inexact" in caught.value.remedy
        result = run(job(ToyTask(), tmp_path, runtime={"threads": 2, "allow_inexact": True}))
        assert result.inexact == ["threads: now '2', in the checkpoint '1'"]
    finally:
        torch.set_num_threads(threads)


def test_a_second_writer_is_stopped_while_the_first_lives(tmp_path: Path) -> None:
    outcome: list[BaseException] = []
    task = ToyTask()

    def second() -> None:
        task.on_objective = lambda: None
        try:
            run(job(ToyTask(), tmp_path))
        except Conflict as error:
            outcome.append(error)

    task.on_objective = second
    run(job(task, tmp_path))
    assert len(outcome) == 1
    assert str(tmp_path) in str(outcome[0])


def test_a_loss_that_is_not_finite_is_marked_so_that_a_retry_stops_at_once(tmp_path: Path) -> None:
    task = ToyTask()
    task.poison = {4}
    with pytest.raises(NonFinite, match="not finite"):
        run(job(task, tmp_path))
    retry = ToyTask()
    retry.on_objective = kill_at(1)
    with pytest.raises(BadInput, match="failed before"):
        run(job(retry, tmp_path))
    with pytest.raises(Killed):
        run(job(retry, tmp_path, runtime={"restart": True}))


def test_a_smaller_micro_batch_survives_a_kill(tmp_path: Path) -> None:
    """Which micro-batches fitted decides last digits, so it is part of the checkpoint."""
    whole = ToyTask(norm=False)
    whole.memory = 2
    expected = run(job(whole, tmp_path / "whole"))
    broken = ToyTask(norm=False)
    broken.memory = 2
    broken.on_objective = kill_at(30)
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "killed"))
    roomy = ToyTask(norm=False)
    assert_same(run(job(roomy, tmp_path / "killed")), expected)


def test_extending_a_finished_run_is_recorded_as_inexact(tmp_path: Path) -> None:
    run(job(ToyTask(), tmp_path))
    result = run(job(ToyTask(), tmp_path, runtime={"extend_epochs": 2}))
    assert len(result.history) == 6
    assert result.inexact == ["extended by 2 epochs"]
