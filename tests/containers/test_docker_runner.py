"""The compiled graph in containers: killed in the middle, on from a real S3 server, to the command line's bytes."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from kfp import dsl

from components.core.errors import BadInput
from components.core.store import open_store
from pipelines.runner.containers import LABEL, AsContainers
from pipelines.runner.local import run_ir
from tests.containers.conftest import CANARY
from tests.pipelines.pipeline_toys import compiled
from tests.store.radosgw import ACCESS_KEY, Gateway
from tests.store.servers import BUCKET

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

LONGER = ("--set", "end_to_end.epochs=8", "--set", "runtime.threads=1", "--set", "runtime.checkpoints.every_steps=1")
"""Long enough to be killed in the middle; the same values at both doors."""


def short(code: str, images: Mapping[str, str], folder: Path) -> Path:
    """A graph of one step that runs a line of Python in the small image."""

    @dsl.container_component
    def step(made: dsl.Output[dsl.Artifact]) -> dsl.ContainerSpec:
        return dsl.ContainerSpec(image=images["cpu"], command=["python", "-c", code], args=[made.path])

    def graph() -> None:
        step()

    return compiled(graph, folder)


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(2)", 2), ("raise SystemExit(137)", -9)])
def test_a_container_that_fails_at_once_is_a_failure(
    images: Mapping[str, str], tmp_path: Path, code: str, expected: int
) -> None:
    for _ in range(5):  # kfp's own runner calls some of these a success
        result = run_ir(short(code, images, tmp_path), {}, tmp_path / "root", AsContainers(network="none"))
        assert (result.status, result.exit_code) == ("failed", expected)


def test_a_container_that_makes_nothing_is_a_failure(images: Mapping[str, str], tmp_path: Path) -> None:
    result = run_ir(short("pass", images, tmp_path), {}, tmp_path / "root", AsContainers(network="none"))
    assert (result.status, result.exit_code) == ("failed", 1)


def test_an_image_that_is_not_here_is_named(images: Mapping[str, str], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such image"):
        run_ir(short("pass", {"cpu": "thaw-nowhere:1"}, tmp_path), {}, tmp_path / "root", AsContainers(network="none"))


@dataclass(frozen=True)
class Door:
    """The command line, in a folder and an environment of its own."""

    folder: Path
    variables: Mapping[str, str]

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        with (self.folder / "log").open("a", encoding="utf-8") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "pipelines", *arguments],
                cwd=Path(__file__).parents[2],
                env=dict(self.variables),
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")


@pytest.fixture
def door(
    images: Mapping[str, str],
    radosgw: Gateway,
    real_s3_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Door:
    for name, value in Gateway(real_s3_endpoint, ACCESS_KEY, radosgw.secret_key).environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("THAW_CANARY", CANARY)
    return Door(tmp_path, dict(os.environ))


def test_a_killed_container_goes_on_from_s3_to_the_command_line_s_bytes(door: Door, tmp_path: Path) -> None:
    root = tmp_path / "containers"
    store = open_store(f"s3://{BUCKET}/containers")
    run = (
        *("pipeline", "run", "--recipe", "freqmedclip", "--size", "tiny", "--runner", "docker"),
        *("--root", str(root), "--store", store.uri, *LONGER),
    )
    first = door.start(*run)
    with closing(docker.from_env()) as client:
        container = wait_for_work(client, root, first)
        # Some optimiser steps in: two checkpoints of this stage are committed.
        wait_until(lambda: sum("end_to_end" in one.key and "manifest" in one.key for one in store.list()) >= 2, first)
        container.kill()
    assert first.wait(timeout=300) != 0
    assert "end_to_end failed (-9): ended by signal 9" in door.log
    before = len(door.log)
    assert door.start(*run).wait(timeout=1500) == 0, door.log[-4000:]
    again = door.log[before:]
    assert "after step" in again, "the stage says where it goes on"
    by_hand = tmp_path / "processes"
    assert door.start("run", "freqmedclip", "--size", "tiny", "--out", str(by_hand), *LONGER).wait(timeout=1500) == 0
    made = root / "thaw-freqmedclip"
    for stage in ("warmup", "partial_unfreeze", "end_to_end"):
        ours, theirs = made / stage.replace("_", "-"), by_hand / stage
        assert (ours / "metrics").read_bytes() == (theirs / "metrics.json").read_bytes()
        weights = [file.name for file in (theirs / "model").glob("*.safetensors")]
        assert weights
        assert all((ours / "model" / one).read_bytes() == (theirs / "model" / one).read_bytes() for one in weights)
    # A model's description, and so its digest, names the Python that made it, which may be another one in the image.
    assert judged(made / "evaluate" / "metrics") == judged(by_hand / "evaluate" / "metrics.json")
    for secret in (CANARY, door.variables["AWS_SECRET_ACCESS_KEY"]):
        assert secret not in door.log
        assert [file for file in root.rglob("*") if file.is_file() and secret.encode() in file.read_bytes()] == []
        assert [one.key for one in store.list() if secret.encode() in store.get(one.key)] == []


def judged(metrics: Path) -> Any:
    return {name: one for name, one in json.loads(metrics.read_text(encoding="utf-8")).items() if name != "models"}


def wait_for_work(
    client: docker.DockerClient, root: Path, run: "subprocess.Popen[str]"
) -> docker.models.containers.Container:
    """The container of the stage that is killed."""
    found = []

    def running() -> bool:
        found[:] = [
            one
            for one in client.containers.list(filters={"label": f"{LABEL}={root}"})
            if "end_to_end" in one.attrs["Config"]["Cmd"]
        ]
        return bool(found)

    wait_until(running, run)
    return found[0]


def wait_until(ready: Callable[[], bool], run: "subprocess.Popen[str]") -> None:
    give_up = time.monotonic() + 1200
    while not ready():
        assert run.poll() is None, "the run ended before"
        assert time.monotonic() < give_up
        time.sleep(0.1)
