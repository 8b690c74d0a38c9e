"""The lock holds hashes and no addresses, and answers every requirement of pyproject.toml."""

import re
import tomllib
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from source import ROOT

PIN = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[^\s;]+)(?P<marker> ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")

LINES = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins() -> list[re.Match[str]]:
    return [found for line in LINES if (found := PIN.fullmatch(line))]


def requirements() -> list[Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in (*PROJECT["dependencies"], *(text for extra in extras for text in extra))]


def test_every_line_is_a_pin_or_a_hash() -> None:
    assert [line for line in LINES if not PIN.fullmatch(line) and not HASH.fullmatch(line)] == []


def test_every_pin_has_a_hash() -> None:
    following = zip(LINES, [*LINES[1:], ""], strict=True)
    assert [line for line, after in following if PIN.fullmatch(line) and not HASH.fullmatch(after)] == []


@pytest.mark.parametrize("requirement", requirements(), ids=str)
def test_the_lock_answers(requirement: Requirement) -> None:
    versions = [
        pin["version"] for pin in pins() if canonicalize_name(pin["name"]) == canonicalize_name(requirement.name)
    ]
    assert versions, f"{requirement.name} is not in requirements.lock: run `make lock`"
    assert all(requirement.specifier.contains(Version(version), prereleases=True) for version in versions)


def test_the_installed_version_is_this_one() -> None:
    assert metadata.version("thaw") == PROJECT["version"], "run `make setup` again"


def test_the_changelog_knows_the_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings
    assert headings[0] == "Unreleased" or headings[0].startswith(PROJECT["version"])
