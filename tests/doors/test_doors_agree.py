"""One wiring behind every door: the same metrics and weights to the last bit, and nothing done twice."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from components import stages
from pipelines.local import ENDINGS
from tests.doors.conftest import QUICK, RECIPES, Door, Place, place, switched_on

pytestmark = pytest.mark.timeout(1200)

PRINTED = re.compile(r"\w+\.\w+ {3}")
"""How `thaw pipeline run` tells of an output."""

PATIENCE = 300.0

NOT_COMPARED = {"report", "bundle"}
"""Outputs that tell when and where they were made."""


def contents(path: Path) -> dict[str, bytes]:
    """Bytes by relative name of every file of a folder; a single file has no name of its own."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def assert_same(found: Path, expected: Path) -> None:
    """Names first, then bytes: a difference is told by the name of its file."""
    here, there = contents(found), contents(expected)
    assert sorted(here) == sorted(there)
    assert [name for name in there if here[name] != there[name]] == []


def stage_output(root: Path, stage: str, port: str) -> Path:
    """Where `thaw run` and dvc.yaml put an output, below a folder of their own."""
    return root / stage / f"{port}{ENDINGS.get(port, '')}"


COMPARED = [
    (recipe, stage, port.name)
    for recipe in RECIPES
    for stage in switched_on(recipe)
    for port in stages.load(stage).output_ports()
    if port.name not in NOT_COMPARED
]
"""Every output that must be the same byte for byte, by recipe, stage and port."""


QUICK_FIRST = pytest.mark.parametrize(
    "recipe", [QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in RECIPES if name != QUICK)]
)


def repro(repository: Place) -> "subprocess.CompletedProcess[str]":
    """Every recipe."""
    return repository.call("dvc", "repro")


def wait_for(path: Path, pattern: str, process: "subprocess.Popen[str]") -> Path:
    until = time.monotonic() + PATIENCE
    while not (found := list(path.glob(pattern))):
        assert process.poll() is None and time.monotonic() < until, f"{pattern} was never there"
        time.sleep(0.005)
    return found[0]


@pytest.fixture(scope="session")
def killed(repository: Place) -> Place:
    """`dvc repro` of one recipe, all its processes killed in the first training stage, once a checkpoint was there."""
    process = repository.start("dvc", "repro", f"export@{QUICK}")
    wait_for(repository.folder / "work" / QUICK, "warmup/warmup.checkpoints/manifests/0*", process)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not stage_output(repository.folder / "work" / QUICK, "warmup", "model").exists()
    return repository


@pytest.fixture(scope="session")
def dvc(killed: Place) -> Place:
    """`dvc repro` of every recipe after the kill, to the end."""
    done = repro(killed)
    assert done.returncode == 0, done.stdout + done.stderr
    (killed.folder / "log").write_text(done.stdout + done.stderr)
    return killed


@QUICK_FIRST
def test_thaw_run_again_does_nothing(command_line: Door, recipe: str) -> None:
    made = command_line(recipe)
    summary = made.folder / "out" / "summary.json"
    before = summary.read_bytes()
    times = {path: path.stat().st_mtime_ns for path in (made.folder / "out").rglob("*") if path != summary}
    done = made.call("pipelines", "run", recipe, "--size", "tiny", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert summary.read_bytes() == before  # seconds of the stages included
    after = {path: path.stat().st_mtime_ns for path in (made.folder / "out").rglob("*") if path != summary}
    assert {path for path in after if after[path] != times.get(path) and path.is_file()} == set()
    assert set(after) == set(times)


@QUICK_FIRST
def test_the_summary_says_what_ran(command_line: Door, recipe: str) -> None:
    summary = json.loads((command_line(recipe).folder / "out" / "summary.json").read_text())
    assert sorted(summary["stages"]) == sorted(switched_on(recipe))
    assert (summary["recipe"], summary["size"], summary["synthetic"]) == (recipe, "tiny", True)
    assert all(stage["seconds"] > 0 for stage in summary["stages"].values())


@pytest.mark.slow
def test_dvc_killed_in_training_goes_on_inside_the_stage(dvc: Place) -> None:
    assert (dvc.folder / "log").read_text().count("resumed after step") == 1


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage", "port"), COMPARED)
def test_dvc_makes_the_same(dvc: Place, command_line: Door, recipe: str, stage: str, port: str) -> None:
    expected = stage_output(command_line(recipe).folder / "out", stage, port)
    assert_same(stage_output(dvc.folder / "work" / recipe, stage, port), expected)


@pytest.mark.slow
def test_dvc_again_does_nothing(dvc: Place) -> None:
    lock = (dvc.folder / "dvc.lock").read_bytes()
    done = repro(dvc)
    assert done.returncode == 0, done.stderr
    assert "Running stage" not in done.stdout
    assert "up to date" in done.stdout
    assert (dvc.folder / "dvc.lock").read_bytes() == lock


@pytest.fixture(scope="session")
def compiled(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[tuple[str, str], Path]]:
    """Outputs by stage and port of a recipe's compiled graph, run by one subprocess per task."""

    @cache
    def run(recipe: str) -> dict[tuple[str, str], Path]:
        made = place(tmp_path_factory.mktemp(f"compiled_{recipe}") / "here", project)
        done = made.call("pipelines", "pipeline", "run", recipe, "--size", "tiny", "--root", "root")
        assert done.returncode == 0, done.stdout + done.stderr
        printed = [line.split(maxsplit=1) for line in done.stdout.splitlines() if PRINTED.match(line)]
        return {(name.split(".")[0], name.split(".")[1]): made.folder / path for name, path in printed}

    return run


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "stage", "port"), COMPARED)
def test_the_compiled_graph_makes_the_same(
    compiled: Callable[[str], dict[tuple[str, str], Path]], command_line: Door, recipe: str, stage: str, port: str
) -> None:
    expected = stage_output(command_line(recipe).folder / "out", stage, port)
    assert_same(compiled(recipe)[stage, port], expected)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
def test_every_door_makes_every_output(
    compiled: Callable[[str], dict[tuple[str, str], Path]], dvc: Place, command_line: Door, recipe: str
) -> None:
    ports = {(name, port.name) for name in stages.NAMES for port in stages.load(name).output_ports()}
    on = {(name, port) for name, port in ports if name in switched_on(recipe)}
    assert set(compiled(recipe)) == on
    for root, expected in ((dvc.folder / "work" / recipe, ports), (command_line(recipe).folder / "out", on)):
        assert [pair for pair in sorted(expected) if not stage_output(root, *pair).exists()] == []
