"""One stack of servers and one dataset for all tests of this folder that watch real stages."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.monitoring.expression import Clock
from tests.monitoring.stack import MISSING, Stack
from tests.monitoring.stages import prepare

FAST = Clock(1 / 120)
"""Ten minutes of the rules are five seconds."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if MISSING:
        pytest.skip(f"not installed: {', '.join(MISSING)}")
    with Stack(tmp_path_factory.mktemp("stack"), FAST) as running:
        yield running


@pytest.fixture(scope="session")
def dataset(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made by a watched `prepare`, whose outcome is pushed."""
    return prepare(stack, tmp_path_factory.mktemp("prepared"))
