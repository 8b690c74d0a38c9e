"""What every kill needs: a server that forks, prepared data, and a run that nobody disturbed."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.core.digest import digest_path
from tests.doors.frozen import environment, freeze
from tests.kills.forks import ForkServer
from tests.kills.phases import PHASES, Phases
from tests.store.servers import BUCKET, SECRET


@dataclass(frozen=True)
class Undisturbed:
    """A run from beginning to end.

    Attributes:
        digests: Of each phase's model folder: weights, history and metrics.
        seconds: How long it took.
    """

    digests: dict[str, str]
    seconds: float


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    if not hasattr(os, "fork"):
        pytest.skip("processes are forked, which this system cannot do")
    folder = tmp_path_factory.mktemp("forks")
    project = freeze(folder / "project")
    server = ForkServer(project, folder, environment(project, folder / "commands"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def dataset(forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared") / "dataset"
    child = forks.start([["prepare", "freqmedclip", "--dataset", str(folder)]])
    assert child.end() == 0, child.log
    return folder


@pytest.fixture(scope="session")
def undisturbed(forks: ForkServer, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return let_run(forks, Phases(dataset, tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="session")
def s3(s3_endpoint: str) -> dict[str, str]:
    """Environment variables that lead boto3's default chain to the server in this process."""
    return {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@pytest.fixture(scope="session")
def bucket() -> str:
    return BUCKET


def let_run(forks: ForkServer, run: Phases) -> Undisturbed:
    """Run all phases to their end."""
    began = time.monotonic()
    child = forks.start(run.commands())
    assert child.end() == 0, child.log
    return Undisturbed(model_digests(run), time.monotonic() - began)


def model_digests(run: Phases) -> dict[str, str]:
    """Digest of each phase's model folder."""
    return {phase: digest_path(run.model(phase)) for phase in PHASES}
