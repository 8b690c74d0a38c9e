"""A run that is extended goes on from its last checkpoint, and says so."""

from pathlib import Path

import pytest
import torch

from components.core.checkpoint.repository import Checkpoints
from components.core.engine.phase import Handoff
from components.core.errors import BadInput
from components.core.store import open_store
from tests.engine.runs import PHASE, Killed, assert_same, job, kill_at, run
from tests.engine.toy import ToyTask

LAST = PHASE.model_copy(update={"handoff": Handoff(weights="last", optimizer="keep")})


class Stuck(ToyTask):
    """No validation is better than the first."""

    def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
        return {"score": 1.0}


def test_a_finished_run_goes_on_from_its_last_weights_and_optimiser(tmp_path: Path) -> None:
    before = run(job(ToyTask(), tmp_path, LAST))
    task, calls = ToyTask(), []
    task.on_objective = lambda: calls.append(1)
    after = run(job(task, tmp_path, LAST, runtime={"extend_epochs": 2}))
    assert len(calls) == 2 * 4 * 2, "two epochs of four steps of two micro-batches, and none of the four before"
    assert after.history[:4] == before.history
    assert after.steps == 6 * 4
    assert after.optimizer is not None
    assert float(after.optimizer["head.weight|step"]) == after.steps
    assert after.inexact == ["extended by 2 epochs"]


def test_an_extension_killed_on_the_way_ends_with_the_same_bits(tmp_path: Path) -> None:
    more = {"extend_epochs": 2}
    run(job(ToyTask(), tmp_path / "whole"))
    expected = run(job(ToyTask(), tmp_path / "whole", runtime=more))
    run(job(ToyTask(), tmp_path / "killed"))
    broken = ToyTask()
    broken.on_objective = kill_at(9)
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "killed", runtime=more))
    found = run(job(ToyTask(), tmp_path / "killed", runtime=more))
    assert_same(found, expected)
    assert found.inexact == expected.inexact == ["extended by 2 epochs"]


def test_an_unfinished_run_may_be_extended(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    with pytest.raises(Killed):
        run(job(broken, tmp_path))
    assert len(run(job(ToyTask(), tmp_path, runtime={"extend_epochs": 1})).history) == 5


def test_a_run_that_patience_ended_goes_on_for_the_epochs_asked_for(tmp_path: Path) -> None:
    patient = PHASE.model_copy(update={"patience": 2, "epochs": 10})
    assert len(run(job(Stuck(), tmp_path, patient)).history) == 3
    more = run(job(Stuck(), tmp_path, patient, runtime={"extend_epochs": 3}))
    assert len(more.history) == 3 + 3
    assert_same(run(job(Stuck(), tmp_path, patient, runtime={"extend_epochs": 3})), more)


def test_fewer_epochs_than_an_extended_run_has_are_another_run(tmp_path: Path) -> None:
    plain = run(job(ToyTask(), tmp_path))
    run(job(ToyTask(), tmp_path, runtime={"extend_epochs": 1}))
    again = run(job(ToyTask(), tmp_path))
    assert_same(again, plain)
    assert again.inexact == []


def test_an_unfinished_extension_is_not_cut_short(tmp_path: Path) -> None:
    broken = ToyTask()
    broken.on_objective = kill_at(20)
    with pytest.raises(Killed):
        run(job(broken, tmp_path, runtime={"extend_epochs": 2}))
    with pytest.raises(BadInput, match="extended by 2 epochs") as caught:
        run(job(ToyTask(), tmp_path))
    assert "--extend-epochs 2" in caught.value.remedy


def test_patience_ends_a_phase_and_changes_none_of_its_rates(tmp_path: Path) -> None:
    patient = PHASE.model_copy(update={"patience": 2, "epochs": 10})
    ended = run(job(Stuck(), tmp_path / "ended", patient))
    whole = run(job(Stuck(), tmp_path / "whole", patient.model_copy(update={"patience": 0})))
    assert ended.history == whole.history[:3]


def test_a_checkpoint_of_an_earlier_version_is_told_apart_by_its_code(tmp_path: Path) -> None:
    given = job(ToyTask(), tmp_path)
    meta = {"finished": False, "identity": {**given.identity.dump(), "code": "earlier"}}
    Checkpoints(open_store(given.store)).save(1, {"weights": {"w": torch.zeros(1)}}, meta)
    with pytest.raises(BadInput, match="code: now 'code', in the checkpoint 'earlier'"):
        run(given)
