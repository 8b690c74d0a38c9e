"""What goes into the images: subsets of the one resolution, and Dockerfiles that a linter passes."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"([a-z0-9._-]+)==([^\s;]+)(?: ; [^\\]+)? \\")
LOCKS = ["cpu", "gpu", "gpu-compile"]
DOCKERFILES = sorted((ROOT / "images").glob("*.Dockerfile"))


def pinned(lock: Path) -> dict[tuple[str, str], set[str]]:
    """Hashes by name and version. A marker may be another one in a subset: fewer packages ask for the pin."""
    found: dict[tuple[str, str], set[str]] = {}
    here: set[str] = set()
    for line in lock.read_text(encoding="utf-8").splitlines():
        if pin := PIN.fullmatch(line):
            here = found.setdefault((pin[1], pin[2]), set())
        else:
            here.add(line.strip(" \\"))
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_an_image_s_lock_is_a_subset_of_the_one_lock(name: str) -> None:
    whole = pinned(ROOT / "requirements.lock")
    part = pinned(ROOT / "images" / f"{name}.lock")
    assert part
    assert {pin: hashes - whole.get(pin, set()) for pin, hashes in part.items() if hashes - whole.get(pin, set())} == {}
    assert all(part.values())


@pytest.mark.parametrize(("name", "extras"), [("cpu", ["volumes"]), ("gpu", ["train", "volumes"])])
def test_an_image_s_lock_answers_its_extras(name: str, extras: list[str]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    held = {package for package, _ in pinned(ROOT / "images" / f"{name}.lock")}
    assert {canonicalize_name(Requirement(one).name) for one in needed} - held == set()


def test_what_an_image_must_not_hold() -> None:
    held = {name: {package for package, _ in pinned(ROOT / "images" / f"{name}.lock")} for name in LOCKS}
    assert held["cpu"] & {"torch", "torchvision", "transformers", "triton"} == set()
    assert held["cpu"] | held["gpu"] == (held["cpu"] | held["gpu"]) - {"kfp", "dvc", "pygit2", "gitpython", "moto"}
    assert held["gpu-compile"] == {"triton"}, "its assembler is a compiler: the gpu image goes without"


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_the_linter_passes(dockerfile: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, dockerfile], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: file.name)
def test_dockerfiles_name_no_registry_and_the_makefile_s_installer(dockerfile: Path) -> None:
    text = dockerfile.read_text(encoding="utf-8")
    assert "# syntax=" not in text
    assert re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE) == ["python:3.11-slim"]
    version = re.search(r"^UV_VERSION := (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert version
    assert f"ARG UV_VERSION={version[1]}\n" in text
