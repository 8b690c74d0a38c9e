"""The project's own files, as the checks of this folder read them."""

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("components", "pipelines")


def modules() -> list[Path]:
    """Every Python file of the packages, relative to the root."""
    return sorted(file.relative_to(ROOT) for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


@cache
def tree(module: Path) -> ast.Module:
    """The parsed module."""
    return ast.parse((ROOT / module).read_text(encoding="utf-8"), filename=str(module))


def nodes(*kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    """Every node of the given kinds, with its module."""
    for module in modules():
        for node in ast.walk(tree(module)):
            if isinstance(node, kinds):
                yield module, node


def place(module: Path, node: ast.AST) -> str:
    """How a finding is named: `file:line`."""
    return f"{module}:{getattr(node, 'lineno', 0)}"


def tracked_files() -> list[Path]:
    """Files under version control, relative to the root; skips the test where there is no repository."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()]


def stages() -> list[str]:
    """Names of the stages: folders of components with a stage.py (core's holds the contract)."""
    return sorted(file.parent.name for file in (ROOT / "components").glob("*/stage.py") if file.parent.name != "core")


def recipes() -> list[str]:
    """Names of the recipes: the modules and folders beside the contract."""
    folder = ROOT / "components" / "recipes"
    found = {entry.stem for entry in folder.iterdir() if entry.suffix == ".py" or (entry / "__init__.py").exists()}
    return sorted(found - {"__init__", "contract"})
