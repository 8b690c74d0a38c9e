"""Several processes of one launch end with what one process ends with, and end together."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from components.core.checkpoint.failures import failed
from components.core.engine.device import Device
from components.core.engine.gather import coupled, gather, own_rows
from components.core.engine.order import step_seed
from components.core.engine.peer_errors import PeerFailed, describe, rebuild
from components.core.engine.ranks import Ranks, here
from components.core.engine.step import NonFinite
from components.core.errors import BadInput
from components.core.launch import NAMES, Place, alone, place
from components.core.runtime import Runtime
from components.core.store import open_store
from components.core.store.errors import Conflict, TooLarge
from tests.engine.launched import launched
from tests.engine.runs import job, run
from tests.engine.together import EQUAL, FAILING, PHASE, RESUMED, SECONDS, Still, plain

TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two processes have gone through all scenarios."""
    folder = tmp_path_factory.mktemp("together")
    for ended in launched("tests.engine.together", str(folder), folder=folder):
        assert ended.code == 0, ended.log
    return folder


def told(folder: Path, kind: str, name: str) -> list[dict[str, Any]]:
    """What each of the two processes ended with."""
    return [json.loads((folder / f"{kind} {name}.{rank}.json").read_text()) for rank in range(2)]


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for key in sorted(value):
            yield from numbers(value[key])
    elif isinstance(value, list):
        for item in value:
            yield from numbers(item)
    else:
        yield float(value)


@pytest.mark.parametrize("name", EQUAL)
def test_two_processes_end_with_what_one_ends_with(folder: Path, tmp_path: Path, name: str) -> None:
    first, second = told(folder, "equal", name)
    assert "error" not in first, first
    assert first == second, "every process has the same weights, history and metrics, to the last bit"
    expected = plain(EQUAL[name](tmp_path))
    assert list(numbers(first)) == pytest.approx(list(numbers(expected)), rel=TOLERANCE, abs=1e-6)


def test_training_moves_far_more_than_the_tolerance(tmp_path: Path) -> None:
    history = EQUAL["accumulation"](tmp_path).history
    assert history[0]["train/loss"] - history[-1]["train/loss"] > 100 * TOLERANCE


@pytest.mark.parametrize(
    ("name", "error", "code", "says"),
    [
        ("poisoned", ["NonFinite", "NonFinite"], 2, f"samples train-{SECONDS}\n"),
        ("unreadable", ["BadInput", "BadInput"], 2, f"train-{SECONDS}\n"),
        ("too large", ["OutOfMemory", "OutOfMemory"], 2, "the largest batch that fits is 4"),
        ("other values", ["BadInput", "BadInput"], 2, "they differ in value epochs"),
        ("broken", ["PeerFailed", "RuntimeError"], 1, "a bug"),
        ("stopped", ["Temporary", "Temporary"], 75, "stopped on request"),
    ],
)
def test_what_ends_one_process_ends_both(folder: Path, name: str, error: list[str], code: int, says: str) -> None:
    outcomes = told(folder, "failing", name)
    assert [each.get("error") for each in outcomes] == error
    assert all(each["code"] == code and says in each["text"] for each in outcomes)


def test_the_first_process_records_what_ended_the_second_for_good(folder: Path) -> None:
    failure = failed(open_store(str(folder / "poisoned" / "run")))
    assert failure is not None and f"train-{SECONDS}" in failure.reason
    assert failed(open_store(str(folder / "broken" / "run"))) is None


def test_a_launch_that_was_asked_to_stop_goes_on_to_the_same_bits(folder: Path) -> None:
    whole = told(folder, "equal", "accumulation")
    assert told(folder, "resumed", "stopped") == whole


def test_dropout_differs_between_processes_and_weights_do_not(folder: Path, tmp_path: Path) -> None:
    first, second = told(folder, "resumed", "dropout")
    assert first == second
    assert set(RESUMED) == {"dropout", "stopped"} and set(FAILING) >= {"stopped"}
    assert step_seed(1, 2, 3) == step_seed(1, 2, 3, rank=0) != step_seed(1, 2, 3, rank=1)


def test_another_number_of_processes_is_another_environment(folder: Path, tmp_path: Path) -> None:
    """The folder `poisoned` holds the checkpoints of two processes that did not finish."""
    store = str(shutil.copytree(folder / "poisoned" / "run", tmp_path / "run"))
    (tmp_path / "run" / "failed.json").unlink()
    with pytest.raises(BadInput, match="world_size: now '1', in the checkpoint '2'"):
        run(replace(job(Still(), tmp_path, PHASE), store=store))
    allowed = job(Still(), tmp_path, PHASE, runtime={"allow_inexact": True})
    found = run(replace(allowed, store=store))
    assert any("world_size" in line for line in found.inexact) and found.steps == 3 * 4


def test_one_process_gathers_itself() -> None:
    x = torch.randn(3, 2, requires_grad=True)
    assert gather(x) is x and own_rows(3) == slice(0, 3)
    assert (here().rank, here().size) == (0, 1)


class TwoThatAgree(Ranks):
    """Two processes with the same rows, of which this is the second."""

    def __init__(self) -> None:
        super().__init__(1, 2)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, x])

    def sum(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


def test_gradients_of_what_is_gathered_are_those_of_the_whole_batch() -> None:
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    with coupled(TwoThatAgree()):
        everyone = gather(x)
        assert own_rows(len(everyone)) == slice(3, 6)
        everyone.pow(3).sum().backward()
    assert torch.allclose(x.grad, 2 * 3 * x.detach() ** 2)


def test_rows_that_are_no_share_are_refused() -> None:
    class Uneven(TwoThatAgree):
        def rows(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([x, x, x])

    with coupled(Uneven()), pytest.raises(ValueError, match="2 rows are not process 1's share of a batch of 6"):
        gather(torch.zeros(2, 1))


@pytest.mark.parametrize("error", [NonFinite("x", where="samples a"), Conflict("y", remedy="wait"), BadInput("z")])
def test_errors_are_raised_again_as_what_they_were(error: Exception) -> None:
    again = rebuild(describe(error), 1)
    assert type(again) is type(error) and str(again) == str(error)


def test_errors_of_other_kinds_keep_what_they_say() -> None:
    assert isinstance(rebuild(describe(TooLarge(2, 1, "here")), 1), BadInput)
    bug = rebuild(describe(ValueError("wrong")), 3)
    assert isinstance(bug, PeerFailed) and "ValueError: wrong" in str(bug) and "process 3" in str(bug)
    assert bug.exit_code == 1


def test_the_place_is_read_from_what_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place() == Place() and place().first
    for name, value in zip(NAMES, ("3", "4", "1", "2"), strict=True):
        monkeypatch.setenv(name, value)
    assert place() == Place(3, 4, 1, 2)
    with alone():
        assert place() == Place()
    assert place().rank == 3
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(BadInput, match="no place"):
        place()
    monkeypatch.delenv("LOCAL_RANK")
    assert place() == Place(), "a pod that merely knows its rank was not launched by torchrun"


def test_more_processes_than_cuda_devices_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name, value in zip(NAMES, ("0", "2", "0", "2"), strict=True):
        monkeypatch.setenv(name, value)
    with pytest.raises(BadInput, match="2 processes were launched on this machine for 1 CUDA devices"):
        Device(Runtime())
