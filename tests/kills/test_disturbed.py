"""A run that is stopped, doubled or damaged: it says so, and what it ends with has the same bits."""

import os
import pickle
import signal
from pathlib import Path

import pytest

from components.core.checkpoint.latest import read_latest
from components.core.checkpoint.manifest import read_manifest
from components.core.checkpoint.repository import Checkpoints
from components.core.digest import digest_path
from components.core.store.local import LocalStore
from tests.kills.conftest import Undisturbed
from tests.kills.forks import Forked, ForkServer
from tests.kills.phases import Phases

MANIFESTS = "manifests/0*"


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def held(forks: ForkServer, run: Phases, saved: int, variables: dict[str, str] | None = None) -> Forked:
    """The first phase, stopped in its tracks once so many checkpoints are there."""
    child = forks.start([run.command("warmup")], variables)
    child.stop_when(run.checkpoints("warmup"), MANIFESTS, saved)
    return child


def finish(forks: ForkServer, run: Phases, undisturbed: Undisturbed) -> Forked:
    child = forks.start([run.command("warmup")])
    assert child.end() == 0, child.log
    assert digest_path(run.model("warmup")) == undisturbed.digests["warmup"]
    return child


def blobs_by_checkpoint(folder: Path) -> dict[str, set[Path]]:
    """Files of each checkpoint's tensors."""
    store = LocalStore(folder)
    manifests = {name: read_manifest(store, name) for name in Checkpoints(store).names()}
    return {name: {folder / blob.key for blob in found.groups.values()} for name, found in manifests.items()}


def newest_blobs(folder: Path) -> set[Path]:
    """Files of the checkpoint that a rerun would take first, and of no other."""
    blobs = blobs_by_checkpoint(folder)
    newest = read_latest(LocalStore(folder)).name
    assert newest is not None and len(blobs) > 1
    return blobs[newest].difference(*(files for name, files in blobs.items() if name != newest))


def test_sigterm_saves_and_says_temporary(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path
) -> None:
    run = Phases(dataset, tmp_path)
    child = held(forks, run, saved=1)
    os.kill(child.pid, signal.SIGTERM)
    child.go_on()
    assert child.end() == 75, child.log
    assert "stopped on request" in child.log and "run the same command again" in child.log
    assert not run.model("warmup").exists()
    assert "resumed after step" in finish(forks, run, undisturbed).log


def test_a_second_run_is_told_who_is_first(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    first = Phases(dataset, tmp_path / "first", store)
    child = forks.start([first.command("warmup")])
    child.stop_when(tmp_path / "store" / "warmup", MANIFESTS)
    second = forks.start([Phases(dataset, tmp_path / "second", store).command("warmup")])
    assert second.end() == 2, second.log
    assert f"another run is writing here: process {child.pid} on" in second.log
    assert "remedy: wait for it, stop it, or give this run another output or store" in second.log
    assert not list((tmp_path / "second" / "warmup").glob("*model*"))
    child.go_on()
    assert child.end() == 0, child.log
    assert digest_path(first.model("warmup")) == undisturbed.digests["warmup"]


def test_a_second_run_over_s3_is_told_who_is_first(
    forks: ForkServer, dataset: Path, tmp_path: Path, s3: dict[str, str], bucket: str
) -> None:
    store = f"s3://{bucket}/doubled"
    first = Phases(dataset, tmp_path / "first", store, ("warmup.epochs=500",))
    child = forks.start([first.command("warmup")], s3)
    child.stop_when(tmp_path / "first", "warmup/warmup.history.jsonl")
    second = forks.start([Phases(dataset, tmp_path / "second", store, first.values).command("warmup")], s3)
    assert second.end() == 2, second.log
    assert f"another run is writing here: process {child.pid} on" in second.log
    assert s3["AWS_SECRET_ACCESS_KEY"] not in second.log
    assert child.kill()


def test_a_flipped_byte_costs_one_checkpoint(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path
) -> None:
    run = Phases(dataset, tmp_path)
    assert held(forks, run, saved=2).kill()
    for blob in newest_blobs(run.checkpoints("warmup")):
        data = bytearray(blob.read_bytes())
        data[-1] ^= 1
        blob.write_bytes(data)
    log = finish(forks, run, undisturbed).log
    assert "cannot be used, trying the one before it" in log
    assert "resumed after step" in log


def test_a_pickle_in_place_of_checkpoints_is_refused(forks: ForkServer, dataset: Path, tmp_path: Path) -> None:
    run = Phases(dataset, tmp_path)
    assert held(forks, run, saved=2).kill()
    for blob in set[Path]().union(*blobs_by_checkpoint(run.checkpoints("warmup")).values()):
        blob.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    child = forks.start([run.command("warmup")])
    assert child.end() == 2, child.log
    assert "checkpoints is whole" in child.log and "--restart" in child.log
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("file", ["weights.safetensors", "model.json"])
def test_a_pickle_in_place_of_a_model_is_refused(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path, file: str
) -> None:
    run = Phases(dataset, tmp_path)
    finish(forks, run, undisturbed)
    place = run.model("warmup") / file
    place.write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    child = forks.start([run.command("partial_unfreeze")])
    assert child.end() == 2, child.log
    assert str(place) in child.log and "remedy:" in child.log and "Traceback" not in child.log
    assert not (tmp_path / "exploded").exists()


def test_damaged_outputs_are_made_again(
    forks: ForkServer, undisturbed: Undisturbed, dataset: Path, tmp_path: Path
) -> None:
    run = Phases(dataset, tmp_path)
    finish(forks, run, undisturbed)
    weights = run.model("warmup") / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    finish(forks, run, undisturbed)
    assert "nothing to do" in finish(forks, run, undisturbed).log
