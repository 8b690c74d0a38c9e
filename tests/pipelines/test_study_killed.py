"""A real study: killed without warning and carried on, one run at a time or two, it finds the same."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.doors.conftest import Place, place

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STUDY: dict[str, Any] = {
    "shared": {
        "evaluate": {"baselines": False, "draws": 100},
        "runtime": {"progress": False, "checkpoints": {"every_steps": 1}},
    },
    "variants": {"reference": {}, "no_ema": {"end_to_end": {"ema": None}}},
    "measures": [{"name": "averaging", "of": "reference/end_to_end", "against": "no_ema/end_to_end"}],
}
PATIENCE = 120.0


def words(out: Path, study: Path, workers: int) -> list[str]:
    return ["study", "freqmedclip", "--study", str(study), "--out", str(out), "--seeds", "0", "--draws", "100",
            "--workers", str(workers), "--set", f"runtime.cache.dir={out}/cache"]  # fmt: skip


def kill_in(at: Place, command: list[str], stage: Path) -> None:
    """Kill everything as soon as a stage has saved a checkpoint."""
    process = at.start("pipelines", *command)
    until = time.monotonic() + PATIENCE
    while not list(stage.glob("*/*.checkpoints/LATEST*")):
        assert process.poll() is None and time.monotonic() < until, (at.folder / "log").read_text()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_killed_study_finds_what_an_undisturbed_one_finds(tmp_path: Path) -> None:
    at = place(tmp_path / "project")
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    done = at.call("pipelines", *words(tmp_path / "plain", study, 1))
    assert done.returncode == 0, done.stderr
    kill_in(at, words(tmp_path / "killed", study, 2), tmp_path / "killed/stages/partial_unfreeze")
    done = at.call("pipelines", *words(tmp_path / "killed", study, 2), "--markdown")
    assert done.returncode == 0, done.stderr
    assert "| averaging | reference/end_to_end minus no_ema/end_to_end |" in done.stdout
    plain, killed = (
        json.loads((tmp_path / name / "study.json").read_text(encoding="utf-8")) for name in ("plain", "killed")
    )
    assert killed["systems"] == plain["systems"]
    assert killed["measures"] == plain["measures"]
    folders = {name: sorted(p.name for p in (tmp_path / name / "stages").glob("*/*")) for name in ("plain", "killed")}
    assert folders["plain"] == folders["killed"], "every stage has the same digest"
    costs = [cost for name in killed["costs"].values() for cost in name.values()]
    assert any(cost["lost"] for cost in costs) and all(cost["peak_bytes"] > 0 for cost in costs)
    assert not any(cost["lost"] for name in plain["costs"].values() for cost in name.values())
    assert (tmp_path / "plain/trainable.png").read_bytes() == (tmp_path / "killed/trainable.png").read_bytes()


def test_a_run_that_fails_beside_others_ends_the_study(tmp_path: Path) -> None:
    """The values are valid, but a pattern fits no part of the model: only training can tell."""
    at = place(tmp_path / "project")
    study = tmp_path / "study.yaml"
    wrong = {**STUDY, "variants": {"reference": {}, "wrong": {"warmup": {"trainable": {"nothing_like_it": 1.0e-3}}}}}
    study.write_text(yaml.safe_dump({**wrong, "measures": []}), encoding="utf-8")
    done = at.call("pipelines", *words(tmp_path / "out", study, 2))
    assert done.returncode == 2
    assert "nothing_like_it" in done.stderr and "the run wrong, seed 0 failed (2)" in done.stderr
