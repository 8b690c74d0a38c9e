"""What stops a phase: unfinished work of others, another environment, a second writer, a loss that is no number."""

from pathlib import Path

import pytest
import torch

from components.core.engine.step import NonFinite
from components.core.errors import BadInput
from components.core.store import Conflict
from tests.engine.runs import PHASE, Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyTask


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
