"""What fails in training for good is recorded, so that a retry stops at once; what may pass is not."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from components.core.checkpoint.claim import KEY as LEASE
from components.core.engine.step import REMEDY, NonFinite, OutOfMemory
from components.core.errors import BadInput, ThawError
from components.core.store import Conflict
from components.core.store.local import LocalStore
from tests.engine.runs import Killed, job, kill_at, run
from tests.engine.toy import ToyTask


def too_large() -> ToyTask:
    task = ToyTask(norm=False)
    task.memory = 0
    return task


def refusing() -> ToyTask:
    task, calls = ToyTask(), []

    def refuse() -> None:
        calls.append(1)
        if len(calls) == 9:
            raise BadInput("a sample holds nothing to learn", where="train-3", remedy="leave it out")

    task.on_objective = refuse
    return task


def refusing_validation() -> ToyTask:
    class Refusing(ToyTask):
        def summarise(self, measured: dict[str, torch.Tensor]) -> dict[str, float]:
            raise BadInput("no validation sample", where="val", remedy="split otherwise")

    return Refusing()


def poisoned() -> ToyTask:
    task = ToyTask()
    task.poison = {4}
    return task


@pytest.mark.parametrize(
    ("make", "kind"),
    [(too_large, OutOfMemory), (refusing, BadInput), (refusing_validation, BadInput), (poisoned, NonFinite)],
)
def test_a_retry_of_what_training_refused_stops_at_once(
    tmp_path: Path, make: Callable[[], ToyTask], kind: type[ThawError]
) -> None:
    with pytest.raises(kind) as first:
        run(job(make(), tmp_path))
    assert first.value.exit_code == 2
    retry = ToyTask()
    retry.on_objective = kill_at(1)
    with pytest.raises(BadInput, match="failed before") as second:
        run(job(retry, tmp_path))
    assert first.value.what in str(second.value)
    with pytest.raises(Killed):
        run(job(retry, tmp_path, runtime={"restart": True}))


def test_another_writer_is_no_failure_of_the_run(tmp_path: Path) -> None:
    task = ToyTask()

    def taken() -> None:
        raise Conflict("another run is writing here", where="here", remedy="wait")

    task.on_objective = taken
    with pytest.raises(Conflict):
        run(job(task, tmp_path))
    assert not (tmp_path / "run" / "failed.json").exists()


def test_a_store_that_refuses_is_no_failure_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put = LocalStore.put

    def refuse(store: LocalStore, key: str, data: bytes) -> str:
        if key.startswith("blobs/"):
            raise BadInput("no right to write", where=key, remedy="give it")
        return put(store, key, data)

    monkeypatch.setattr(LocalStore, "put", refuse)
    with pytest.raises(BadInput, match="no right to write"):
        run(job(ToyTask(), tmp_path))
    assert not (tmp_path / "run" / "failed.json").exists()


def test_a_store_that_takes_no_writes_is_told_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease is a file of its own: that it could be written says nothing of the rest."""
    put = LocalStore.put

    def refuse(store: LocalStore, key: str, data: bytes) -> str:
        if key == LEASE:
            return put(store, key, data)
        raise BadInput("no right to write", where=key, remedy="give it")

    monkeypatch.setattr(LocalStore, "put", refuse)
    monkeypatch.setattr(LocalStore, "put_if_absent", refuse)
    task = ToyTask()
    with pytest.raises(BadInput, match="no right to write"):
        run(job(task, tmp_path))
    assert (task.stem_samples, task.text_rows) == (0, 0)


def test_the_remedy_says_that_other_values_are_another_run() -> None:
    assert "--restart" in REMEDY and "another output" in REMEDY
