"""The images that were built on this machine, and the ways in which they are run; `.ci/run` builds them first."""

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException

from components.core.errors import BadInput
from pipelines.images import RECORD, read_images

ROOT = Path(__file__).parents[2]
CANARY = "canary-5f1d7c-of-the-store"
"""Stands for a secret: nothing that a run leaves may show it."""

HARDENED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--user", "65532", "--network", "none"),
)

Inside = Callable[..., str]


@pytest.fixture(scope="session")
def images() -> Mapping[str, str]:
    """Image reference by kind."""
    try:
        docker.from_env().close()
    except DockerException:
        pytest.skip("no Docker answers: `.ci/docker start` starts one for tests, and prints its address")
    home = Path.cwd()
    try:
        os.chdir(ROOT)
        return read_images(None)
    except BadInput as error:
        pytest.skip(f"{error.what}: {RECORD} is written by `make images`")
    finally:
        os.chdir(home)


@pytest.fixture(scope="session")
def client() -> str:
    """The docker command."""
    return os.environ.get("DOCKER", "docker")


@pytest.fixture(scope="session")
def inside(images: Mapping[str, str], client: str) -> Inside:
    """Runs a command in a hardened container of an image, and returns what it says."""

    def run(kind: str, *command: str, options: tuple[str, ...] = ()) -> str:
        done = subprocess.run(
            [client, "run", "--rm", *HARDENED, *options, images[kind], *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run
