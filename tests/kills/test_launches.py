"""Phases trained by two processes of one launch: as by one, and as exact about kills."""

import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.core.digest import digest_path
from tests.engine.launched import free_port, variables
from tests.kills.conftest import model_digests
from tests.kills.forks import Forked, ForkServer
from tests.kills.phases import PHASES, Phases
from tests.kills.test_disturbed import MANIFESTS

TOLERANCE = 1e-5


def launch(forks: ForkServer, *commands: Sequence[str], size: int = 2) -> list[Forked]:
    """The processes of one launch, each of which runs the same command lines."""
    port = free_port()
    return [forks.start(commands, variables(rank, size, port)) for rank in range(size)]


def ended(processes: Sequence[Forked]) -> list[int]:
    return [process.end() for process in processes]


def kill_when(processes: Sequence[Forked], path: Path, count: int) -> None:
    """kill -9 of all of them at once, when so many checkpoints are there."""
    processes[0].stop_when(path, MANIFESTS, count)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    assert ended(processes) == [-signal.SIGKILL] * len(processes)


@pytest.fixture(scope="module")
def whole(forks: ForkServer, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Phases:
    """All phases by two processes that nobody disturbs."""
    run = Phases(dataset, tmp_path_factory.mktemp("whole"))
    processes = launch(forks, *run.commands())
    assert ended(processes) == [0, 0], "\n".join(process.log for process in processes)
    return run


def floats(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from floats(item, f"{path}/{key}")
    else:
        yield path, value


def test_two_processes_reach_the_metrics_of_one(
    forks: ForkServer, whole: Phases, dataset: Path, tmp_path: Path
) -> None:
    """Contrastive losses included, whose negatives are the whole batch, wherever its samples are."""
    alone = Phases(dataset, tmp_path)
    assert forks.start(alone.commands()).end() == 0
    for phase in PHASES:
        found, expected = (
            dict(floats(json.loads((run.folder / phase / "metrics.json").read_text()))) for run in (whole, alone)
        )
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert found[key] == (value if isinstance(value, str) else pytest.approx(value, rel=TOLERANCE)), key


def test_the_first_process_alone_tells_and_writes(whole: Phases, forks: ForkServer) -> None:
    first, second = launch(forks, *whole.commands())
    assert ended([first, second]) == [0, 0]
    assert first.log.count("nothing to do") == len(PHASES)
    assert "nothing to do" not in second.log and "epoch" not in second.log
    left = [path.name for phase in PHASES for path in (whole.folder / phase).glob("*")]
    assert not [name for name in left if name.endswith((".lock", ".unfinished"))]


def test_machines_need_no_common_folder(forks: ForkServer, whole: Phases, dataset: Path, tmp_path: Path) -> None:
    """Each has the inputs; the first one alone has the outputs and the checkpoints, from which both go on."""
    there = Path(shutil.copytree(dataset, tmp_path / "there" / "dataset"))
    runs = [Phases(dataset, tmp_path / "here"), Phases(there, tmp_path / "there" / "run")]

    def start() -> list[Forked]:
        port = free_port()
        return [
            forks.start([run.command("warmup")], variables(rank, 2, port, machines=2)) for rank, run in enumerate(runs)
        ]

    kill_when(start(), runs[0].checkpoints("warmup"), 1)
    assert ended(start()) == [0, 0]
    assert digest_path(runs[0].model("warmup")) == digest_path(whole.model("warmup"))
    assert not runs[1].model("warmup").parent.exists()


def test_kill_nine_of_both_changes_no_bit(forks: ForkServer, whole: Phases, dataset: Path, tmp_path: Path) -> None:
    run = Phases(dataset, tmp_path)
    for phase in ("warmup", "end_to_end"):
        kill_when(launch(forks, *run.commands()), run.checkpoints(phase), 2)
    processes = launch(forks, *run.commands())
    assert ended(processes) == [0, 0], processes[0].log
    assert "resumed after step" in processes[0].log
    assert model_digests(run) == model_digests(whole)


def test_who_loses_the_other_process_says_so_and_can_go_on(
    forks: ForkServer, whole: Phases, dataset: Path, tmp_path: Path
) -> None:
    run = Phases(dataset, tmp_path)
    first, second = launch(forks, run.command("warmup"))
    first.stop_when(run.checkpoints("warmup"), MANIFESTS)
    assert second.kill()
    first.go_on()
    assert first.end() == 75, first.log
    assert "another process of this launch is gone" in first.log and "remedy:" in first.log
    assert ended(launch(forks, run.command("warmup"))) == [0, 0]
    assert digest_path(run.model("warmup")) == digest_path(whole.model("warmup"))


def test_asking_one_process_to_stop_stops_both_after_the_same_step(
    forks: ForkServer, whole: Phases, dataset: Path, tmp_path: Path
) -> None:
    run = Phases(dataset, tmp_path)
    first, second = launch(forks, run.command("warmup"))
    first.stop_when(run.checkpoints("warmup"), MANIFESTS)
    os.kill(second.pid, signal.SIGTERM)
    first.go_on()
    assert ended([first, second]) == [75, 75], first.log + second.log
    assert "stopped on request" in first.log and not run.model("warmup").exists()
    assert ended(launch(forks, run.command("warmup"))) == [0, 0]
    assert digest_path(run.model("warmup")) == digest_path(whole.model("warmup"))


def test_one_process_does_not_continue_what_two_began(forks: ForkServer, dataset: Path, tmp_path: Path) -> None:
    run = Phases(dataset, tmp_path)
    kill_when(launch(forks, run.command("warmup")), run.checkpoints("warmup"), 1)
    alone = forks.start([run.command("warmup")])
    assert alone.end() == 2 and "world_size: now '1', in the checkpoint '2'" in alone.log
    allowed = forks.start([[*run.command("warmup"), "--allow-inexact"]])
    assert allowed.end() == 0, allowed.log


def test_what_is_no_training_is_done_by_the_first_process(forks: ForkServer, tmp_path: Path) -> None:
    first, second = launch(forks, ["prepare", "freqmedclip", "--dataset", str(tmp_path / "dataset")])
    assert ended([first, second]) == [0, 0], first.log + second.log
    assert (tmp_path / "dataset").is_dir()


def test_an_error_of_the_first_process_is_that_of_all(forks: ForkServer, tmp_path: Path) -> None:
    command = ["prepare", "freqmedclip", "--set", "split.ratios.train=0.0", "--dataset", str(tmp_path / "dataset")]
    alone = forks.start([command])
    code = alone.end()
    processes = launch(forks, command)
    assert code == 2 and ended(processes) == [2, 2]
    message = alone.log[alone.log.index("thaw: error") :]
    assert all(message in process.log for process in processes), processes[1].log
