"""`thaw status`: finished and unfinished stages, the newest whole checkpoint, and what is wrong with later ones."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from components.core.checkpoint.failures import Failure, mark_failed
from components.core.checkpoint.repository import Checkpoints
from components.core.engine.progress import Progress
from components.core.store import open_store
from pipelines.cli import main
from pipelines.status import read_status

QUICK = ["--size", "tiny", "--set", "recipe.data.synthetic.images=12", "--set", "runtime.progress=false"]


def unfinished(folder: Path, steps: int, epochs: int) -> None:
    """One checkpoint as the engine writes it, after some epochs whose monitor rose."""
    progress = Progress(8)
    for epoch in range(epochs):
        progress.consider({"dice": 0.1 * (epoch + 1)}, "dice", {})
        progress.add({"seg": 1.0}, 8)
        progress.finish_epoch({"dice": 0.1 * (epoch + 1)}, {})
    meta = {"progress": progress.dump(), "finished": False}
    Checkpoints(open_store(folder)).save(steps, {"weights": {"w": torch.full((2,), float(steps))}}, meta)


def test_a_finished_run_shows_what_training_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset, warmup = tmp_path / "prepare" / "dataset", tmp_path / "warmup"
    assert main(["prepare", "freqmedclip", *QUICK, "--dataset", str(dataset)]) == 0
    ports = ["--dataset", str(dataset), "--model", str(warmup / "model"), "--metrics", str(warmup / "metrics.json")]
    cache = ["--set", f"runtime.cache.dir={tmp_path / 'cache'}"]
    assert main(["warmup", "freqmedclip", *QUICK, *cache, *ports]) == 0
    capsys.readouterr()
    assert main(["status", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    metrics = json.loads((warmup / "metrics.json").read_text(encoding="utf-8"))
    found = {one.stage: one for one in read_status(tmp_path)}
    assert [one.state for one in found.values()] == ["finished", "finished"] + ["not begun"] * (len(found) - 2)
    newest = found["warmup"].newest
    assert newest is not None
    assert (newest.step, newest.epoch) == (metrics["steps"], 2)
    assert newest.best == metrics["val"]["dice"]
    assert f" {metrics['steps']} " in printed and f"{newest.best:.4f} in {newest.best_epoch}" in printed
    (warmup / "metrics.json").unlink()
    assert {one.stage: one.state for one in read_status(tmp_path)}["warmup"] == "unfinished"


def test_an_unfinished_stage_and_a_damaged_newest_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "warmup" / "warmup.checkpoints"
    unfinished(store, steps=4, epochs=2)
    unfinished(store, steps=7, epochs=3)
    newest = read_status(tmp_path)[1].newest
    assert newest is not None and (newest.step, newest.epoch, newest.best_epoch) == (7, 3, 3)
    last = max((store / "manifests").iterdir())
    last.write_text(last.read_text(encoding="utf-8").replace("finished", "finesse"), encoding="utf-8")
    found = read_status(tmp_path)[1]
    assert found.state == "unfinished"
    assert found.newest is not None and found.newest.step == 4
    assert main(["status", str(tmp_path)]) == 0
    assert last.name in capsys.readouterr().out


def test_checkpoints_may_be_elsewhere_and_failures_are_said(tmp_path: Path) -> None:
    run, store = tmp_path / "run", tmp_path / "elsewhere"
    (run / "end_to_end").mkdir(parents=True)
    unfinished(store / "end_to_end", steps=3, epochs=1)
    mark_failed(open_store(store / "end_to_end"), Failure("d", "the loss is not finite"))
    found = {one.stage: one for one in read_status(run, f"{store}/")}["end_to_end"]
    assert (found.state, found.remark) == ("failed", "the loss is not finite")
    assert found.newest is not None and found.newest.step == 3


@pytest.mark.parametrize("make", [True, False])
def test_a_folder_without_a_run_is_refused(tmp_path: Path, make: bool, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "empty"
    if make:
        folder.mkdir()
    assert main(["status", str(folder)]) == 2
    assert "remedy: give the --out" in capsys.readouterr().err


def test_status_needs_no_torch(tmp_path: Path) -> None:
    unfinished(tmp_path / "warmup" / "warmup.checkpoints", steps=4, epochs=2)
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'kfp')));"
        f"from pipelines.cli import main; sys.exit(main(['status', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert ["warmup", "unfinished", "4", "2", "0.2000"] in [line.split()[:5] for line in done.stdout.splitlines()]
