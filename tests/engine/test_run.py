"""A phase interrupted anywhere ends with the same bits as one that was not."""

from pathlib import Path

import pytest
import torch

from components.core.checkpoint.artifact import ModelArtifact
from components.core.checkpoint.model import ModelMeta
from components.core.engine.device import Device
from components.core.engine.phase import Handoff
from tests.engine.runs import PHASE, Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyTask


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
