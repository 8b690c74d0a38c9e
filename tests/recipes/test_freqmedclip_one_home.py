"""What several files of the recipe use has one home: a copy would drift."""

import ast
from collections import Counter
from pathlib import Path

import components.recipes.freqmedclip as package

FILES = sorted(Path(package.__file__).parent.glob("*.py"))


def definitions(file: Path) -> set[str]:
    """Module-level constants (sizes of layers aside: they may be equal by chance) and functions, with their values."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            found.add(f"def {node.name}({len(node.args.args)}): {[ast.dump(line) for line in body]}")
        elif isinstance(node, ast.Assign) and not isinstance(getattr(node.value, "value", None), int):
            if ast.unparse(node.value) == "logging.getLogger(__name__)":
                continue  # every file's logger is its own
            found.update(f"{ast.unparse(target)} = {ast.unparse(node.value)}" for target in node.targets)
    return found


def test_no_constant_and_no_function_is_defined_twice() -> None:
    counts = Counter(found for file in FILES for found in definitions(file))
    assert [found for found, count in counts.items() if count > 1] == []
