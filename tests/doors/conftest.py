"""The three doors, each opened once per recipe: the same size and code, the same synthetic data."""

import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest

from components import stages
from components.cli.values import PARAMS, recipes
from components.core.config import read_params
from pipelines.local import active
from tests.doors.frozen import environment, freeze, python

RECIPES = recipes()

QUICK = "freqmedclip"
"""The recipe with the fewest seconds at `tiny`: fast tests go through its doors, slow ones through those of all."""


@dataclass(frozen=True)
class Place:
    """A frozen project and a folder to run it in.

    Attributes:
        folder: Working directory.
        variables: Environment of every process.
    """

    project: Path
    folder: Path
    variables: Mapping[str, str]

    def call(self, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m module` to its end."""
        return subprocess.run(
            python(module, *arguments), cwd=self.folder, env=self.variables, text=True, capture_output=True, check=False
        )

    def start(self, module: str, *arguments: str) -> "subprocess.Popen[str]":
        """Begin `python -m module`, in a process group of its own."""
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(
                python(module, *arguments),
                cwd=self.folder,
                env=self.variables,
                text=True,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


Door: TypeAlias = Callable[[str], Place]
"""Goes through for the named recipe at the first call; later calls find what that made."""


def place(folder: Path, project: Path | None = None) -> Place:
    """A place to run in; without a project of its own, the folder becomes one."""
    frozen = freeze(folder) if project is None else project
    folder.mkdir(parents=True, exist_ok=True)
    return Place(frozen, folder, environment(frozen, folder.parent / f"{folder.name}.commands"))


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return freeze(tmp_path_factory.mktemp("frozen") / "project")


def switched_on(recipe: str) -> list[str]:
    """The stages that a recipe runs at `tiny`. DVC runs the others too, and what follows must not tell."""
    values = read_params(PARAMS / f"{recipe}.yaml", "tiny")
    return [node.stage for node in active(values, stages.NAMES[-1])]


@pytest.fixture(scope="session")
def command_line(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Door:
    """`thaw run`, ended; its outputs are below `out`."""

    @cache
    def run(recipe: str) -> Place:
        made = place(tmp_path_factory.mktemp(f"command_line_{recipe}") / "here", project)
        done = made.call("pipelines", "run", recipe, "--size", "tiny", "--out", "out")
        assert done.returncode == 0, done.stderr
        return made

    return run


@pytest.fixture(scope="session")
def repository(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A fresh git repository of the project, as a clone would be; nothing has run in it."""
    folder = tmp_path_factory.mktemp("repository")
    made = place(folder / "project")
    made = Place(made.project, made.folder, {**made.variables, **outside_of_home(folder)})
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=made.folder, env=made.variables, check=True)
    return made


def outside_of_home(folder: Path) -> dict[str, str]:
    """Git and DVC as on a fresh machine: no settings of the user, no caches shared with other projects."""
    return {
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{who}_{what}": "thaw@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        "DVC_NO_ANALYTICS": "1",
        **{f"DVC_{what}": str(folder / what) for what in ("GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR", "SITE_CACHE_DIR")},
    }
