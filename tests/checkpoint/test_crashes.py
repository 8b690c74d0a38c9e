"""`kill -9` at every durable step of a save: what was committed before, or the new checkpoint, is there whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from components.core.checkpoint.lease import hold
from components.core.checkpoint.repository import Checkpoints
from components.core.store.local import LocalStore

CRASHER = '''
"""Forks a child per crash point: it saves step 1, then dies before the n-th call while it saves step 2."""
import os, shutil, signal, sys
from pathlib import Path
import torch
from components.core.checkpoint.lease import hold
from components.core.checkpoint.repository import Checkpoints
from components.core.store.local import LocalStore

def dying(call, countdown):
    def wrapped(*given, **named):
        if countdown[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        countdown[0] -= 1
        return call(*given, **named)
    return wrapped

def child(folder, point):
    store = LocalStore(folder)
    with hold(store):
        writer = Checkpoints(store, keep_last=1, grace=-1)
        writer.save(1, {"frozen": {"w": torch.ones(8)}, "head": {"w": torch.full((4,), 1.0)}}, {"step": 1}, ["best"])
        countdown = [point]
        for name in ("fsync", "replace", "link", "unlink"):
            setattr(os, name, dying(getattr(os, name), countdown))
        writer.save(2, {"frozen": {"w": torch.ones(8)}, "head": {"w": torch.full((4,), 2.0)}}, {"step": 2}, ["best"])
    os._exit(0)

for point in range(1000):
    folder = Path(sys.argv[1]) / f"point{point:03d}"
    pid = os.fork()
    if pid == 0:
        child(folder, point)
    status = os.waitpid(pid, 0)[1]
    if os.WIFEXITED(status):
        sys.exit(os.WEXITSTATUS(status))
    assert os.WTERMSIG(status) == signal.SIGKILL
'''


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of runs that were killed, by crash point; the last one was not."""
    folder = tmp_path_factory.mktemp("crashes")
    subprocess.run([sys.executable, "-c", CRASHER, str(folder)], check=True, timeout=60)
    return sorted(folder.iterdir())


def test_every_crash_leaves_a_whole_checkpoint(crashed: list[Path]) -> None:
    steps = []
    for folder in crashed:
        found = Checkpoints(LocalStore(folder)).load_newest()
        assert found is not None
        assert found.meta == {"step": found.step}
        assert torch.equal(found.tensors["frozen"]["w"], torch.ones(8))
        assert torch.equal(found.tensors["head"]["w"], torch.full((4,), float(found.step)))
        steps.append(found.step)
    assert steps == sorted(steps)  # once committed, it stays committed
    assert steps[0] == 1
    assert steps[-2] == 2
    assert len(steps) > 12


def test_after_every_crash_the_next_writer_goes_on_and_cleans_up(crashed: list[Path]) -> None:
    for folder in crashed:
        store = LocalStore(folder)
        with hold(store) as lease:
            writer = Checkpoints(store, lease=lease, keep_last=1, grace=-1)
            writer.load_newest()
            writer.save(
                3, {"frozen": {"w": torch.ones(8)}, "head": {"w": torch.full((4,), 3.0)}}, {"step": 3}, ["best"]
            )
        found = Checkpoints(store).load_newest()
        assert found is not None
        assert found.step == 3
        files = sorted(path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file())
        assert files == [".lease.lock", ".lock", "LATEST", "blobs", "blobs", "manifests"]
