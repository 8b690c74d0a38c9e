"""What the project never does: unpickle, hand strings to a shell, or dispatch on a recipe's name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from source import nodes, place, recipes

PICKLERS = {"_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""


def calls() -> Iterator[tuple[Path, ast.Call, str]]:
    for module, node in nodes(ast.Call):
        assert isinstance(node, ast.Call)
        yield module, node, ast.unparse(node.func)


def keyword(node: ast.Call, name: str) -> object:
    values = [item.value for item in node.keywords if item.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_nothing_is_pickled() -> None:
    statements = nodes(ast.Import, ast.ImportFrom)
    found = [place(module, node) for module, node in statements if PICKLERS & {n.split(".")[0] for n in imported(node)}]
    assert found == []


def test_of_pickle_only_its_error_is_used() -> None:
    uses = [
        (place(module, node), ast.unparse(node)) for module, node in nodes(ast.Attribute, ast.Import, ast.ImportFrom)
    ]
    pickled = {use for use in uses if use[1].startswith(("pickle.", "from pickle ", "import pickle as "))}
    assert {use for use in pickled if use[1] != "pickle.UnpicklingError"} == set()


def test_torch_load_reads_weights_only() -> None:
    loads = [(place(module, node), node) for module, node, name in calls() if name in {"torch.load", "torch.jit.load"}]
    assert [where for where, node in loads if keyword(node, "weights_only") is not True] == []


def test_numpy_loads_no_objects() -> None:
    assert [place(module, node) for module, node, _ in calls() if keyword(node, "allow_pickle") is True] == []


def test_no_shell_strings() -> None:
    shells = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
    found = [place(module, node) for module, node, name in calls() if name in shells or keyword(node, "shell") is True]
    assert found == []


def test_no_process_wide_random_state() -> None:
    """torch.manual_seed is the exception: dropout takes no generator, so the engine seeds it for every step."""
    seeded = re.compile(r"(np|numpy)\.random\.(?!Generator|Philox|SeedSequence|default_rng)\w+|random\.seed")
    assert [place(module, node) for module, node, name in calls() if seeded.fullmatch(name)] == []


def test_tensorboard_is_imported_by_tracking_only() -> None:
    found = [
        place(module, node)
        for module, node in nodes(ast.Import, ast.ImportFrom)
        if any("tensorboard" in name.split(".") and not name.startswith("components.") for name in imported(node))
        and not module.is_relative_to("components/core/tracking")
    ]
    assert found == []


def choices(node: ast.AST) -> Iterator[str]:
    """Strings that the node compares something with."""
    if isinstance(node, ast.Compare):
        inner = (part for side in (node.left, *node.comparators) for part in ast.walk(side))
    else:
        inner = ast.walk(node)
    yield from (part.value for part in inner if isinstance(part, ast.Constant) and isinstance(part.value, str))


@pytest.mark.parametrize("recipe", recipes())
def test_no_decision_hangs_on_a_recipe_name(recipe: str) -> None:
    home = Path("components/recipes")
    found = [
        place(module, node)
        for module, node in nodes(ast.Compare, ast.MatchValue)
        if recipe in choices(node) and not (module.is_relative_to(home / recipe) or module == home / f"{recipe}.py")
    ]
    assert found == []
