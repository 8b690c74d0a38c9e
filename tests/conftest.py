"""What every test shares: tensor code is checked at run time, and what belongs together stays with one worker."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")  # of every worker and child: they share the cores among themselves

CHECKED = ["components.core.models", "components.core.losses", "components.recipes"]
"""Packages whose annotations hold at run time; the hook must be in place before their first import."""

install_import_hook(CHECKED, "beartype.beartype")

TOGETHER = {"doors", "export", "kills"}
"""Folders whose files share what is dear to make: whole runs, exported bundles, a server that forks."""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, the tests of a file go to one of them, and so do those of a folder in `TOGETHER`."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(home(item.path)))


def home(file: Path) -> str:
    """Name of the group that a test file belongs to."""
    return file.parent.name if file.parent.name in TOGETHER else f"{file.parent.name}/{file.stem}"
