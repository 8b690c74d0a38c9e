"""`torchrun -m components ...`: the launcher itself, and what each process is told."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doors.frozen import environment, freeze
from tests.engine.launched import free_port

TORCHRUN = ("-m", "torch.distributed.run", "--master-addr", "127.0.0.1", "--nproc-per-node", "2")
TOLERANCE = 1e-5


def run(project: Path, folder: Path, *words: str, launcher: bool) -> subprocess.CompletedProcess[str]:
    door = [*TORCHRUN, "--master-port", str(free_port()), "-m", "components"] if launcher else ["-m", "components"]
    variables = {**environment(project, folder / "commands"), "GLOO_SOCKET_IFNAME": "lo"}
    command = [sys.executable, *door, *words]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(tmp_path: Path) -> None:
    project = freeze(tmp_path / "project")
    prepared = run(project, tmp_path, "prepare", "freqmedclip", "--dataset", "dataset", launcher=False)
    assert prepared.returncode == 0, prepared.stderr
    for name, launcher in {"alone": False, "together": True}.items():
        ports = ["--dataset", "dataset", "--model", f"{name}/model", "--metrics", f"{name}/metrics.json"]
        settings = ["--set", f"runtime.cache.dir={name}/cache", "--set", "runtime.progress=false"]
        done = run(project, tmp_path, "warmup", "freqmedclip", *settings, *ports, launcher=launcher)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("ended") == 1, "one closing table, however many processes"
    alone, together = (json.loads((tmp_path / name / "metrics.json").read_text()) for name in ("alone", "together"))
    assert together["val"] == {key: pytest.approx(value, rel=TOLERANCE) for key, value in alone["val"].items()}


@pytest.mark.slow
def test_torchrun_tells_the_exit_code_of_bad_input(tmp_path: Path) -> None:
    project = freeze(tmp_path / "project")
    ports = ["--dataset", "missing", "--model", "model", "--metrics", "metrics.json"]
    done = run(project, tmp_path, "warmup", "freqmedclip", *ports, launcher=True)
    assert done.returncode != 0 and "exitcode  : 2" in done.stderr, done.stderr
    assert "input 'dataset' does not exist" in done.stderr
