"""The tail stays short: no long functions, no long files, no rooms without a name."""

import ast
from collections import Counter
from pathlib import Path

from source import ROOT, modules, nodes, place

LONGEST_FUNCTION = 50
LONGEST_FILE = 300
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc"}


def length(node: ast.AST) -> int:
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_functions_are_short() -> None:
    found = [(place(module, node), length(node)) for module, node in nodes(ast.FunctionDef, ast.AsyncFunctionDef)]
    assert [entry for entry in found if entry[1] > LONGEST_FUNCTION] == []


def test_files_are_short() -> None:
    lines = {str(module): len((ROOT / module).read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert {name: count for name, count in lines.items() if count > LONGEST_FILE} == {}


def test_modules_are_named_for_what_they_hold() -> None:
    parts = {part for module in modules() for part in (*module.parent.parts, module.stem)}
    assert parts & NAMELESS == set()


def test_packages_can_be_imported() -> None:
    folders = {parent for module in modules() for parent in module.parents if parent != Path()}
    assert sorted(str(folder) for folder in folders if not (ROOT / folder / "__init__.py").exists()) == []


def test_names_of_test_files_are_theirs_alone() -> None:
    """Tests are no packages: pytest refuses to collect a second file of the same name."""
    names = Counter(file.name for file in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
