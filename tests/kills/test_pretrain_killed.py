"""`kill -9` in training without labels: the encoder and what was measured before and after end with the same bits."""

import os
import signal
from pathlib import Path

import pytest

from components.core.digest import digest_path
from tests.kills.forks import Forked, ForkServer

EPOCHS = 3


def command(dataset: Path, folder: Path) -> list[str]:
    """Three epochs of three steps, each of them saved."""
    settings = [
        f"pretrain.epochs={EPOCHS}",
        "runtime.checkpoints.every_steps=1",
        "runtime.checkpoints.lease_seconds=1",
        "runtime.progress=false",
        f"runtime.cache.dir={folder / 'cache'}",
    ]
    ports = {"dataset": dataset, "encoder": folder / "encoder", "metrics": folder / "metrics.json"}
    return [
        *("pretrain", "freqmedclip"),
        *(word for port, path in ports.items() for word in (f"--{port}", str(path))),
        *(word for setting in settings for word in ("--set", setting)),
    ]


def made(folder: Path) -> tuple[str, bytes]:
    return digest_path(folder / "encoder"), (folder / "metrics.json").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(forks: ForkServer, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes]:
    folder = tmp_path_factory.mktemp("pretrained")
    child = forks.start([command(dataset, folder)])
    assert child.end() == 0, child.log
    return made(folder)


def held(forks: ForkServer, dataset: Path, folder: Path, step: int) -> Forked:
    """A run stopped in its tracks after a step was saved."""
    child = forks.start([command(dataset, folder)])
    child.stop_when(folder, f"pretrain.checkpoints/manifests/0*-step{step:010d}-*")
    return child


@pytest.mark.parametrize("step", [1, pytest.param(3, marks=pytest.mark.slow), 7])
def test_killed_after_any_step_it_ends_with_the_same_bits(
    forks: ForkServer, dataset: Path, undisturbed: tuple[str, bytes], tmp_path: Path, step: int
) -> None:
    assert held(forks, dataset, tmp_path, step).kill()
    assert not (tmp_path / "encoder").exists()
    again = forks.start([command(dataset, tmp_path)])
    assert again.end() == 0, again.log
    assert "resumed after step" in again.log
    assert made(tmp_path) == undisturbed


def test_killed_before_its_first_step_it_begins_anew(
    forks: ForkServer, dataset: Path, undisturbed: tuple[str, bytes], tmp_path: Path
) -> None:
    child = forks.start([command(dataset, tmp_path)])
    child.stop_when(tmp_path, "pretrain.history.jsonl")
    assert child.kill()
    again = forks.start([command(dataset, tmp_path)])
    assert again.end() == 0, again.log
    assert made(tmp_path) == undisturbed


def test_asked_to_end_it_saves_and_can_go_on(
    forks: ForkServer, dataset: Path, undisturbed: tuple[str, bytes], tmp_path: Path
) -> None:
    child = held(forks, dataset, tmp_path, step=2)
    os.kill(child.pid, signal.SIGTERM)
    child.go_on()
    assert child.end() == 75, child.log
    again = forks.start([command(dataset, tmp_path)])
    assert again.end() == 0, again.log
    assert made(tmp_path) == undisturbed
