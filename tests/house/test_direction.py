"""The import contracts cover what exists, and each of them can fail."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from source import ROOT, stages

LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]

FILES = {
    "components/core/store/s3.py": "import boto3\n",
    "components/core/tracking/registry.py": "import prometheus_client\n",
    "components/recipes/contract.py": "",
    "components/recipes/one.py": "import components.recipes.contract\n",
    "components/recipes/two/model.py": "import components.recipes.contract\n",
    "components/prepare/stage.py": "import components.recipes\n",
    "components/prepare/component.py": "import kfp.dsl\n",
    "components/warmup/stage.py": "import components.core\n",
    "pipelines/graph.py": "import kfp\nimport components.prepare.component\n",
}
"""A toy project that keeps every contract."""

VIOLATIONS = {
    "core knows no recipe": ("components/core/loop.py", "import components.recipes.one"),
    "recipes know no stage": ("components/recipes/one.py", "import components.prepare.stage"),
    "recipes are independent": ("components/recipes/two/model.py", "import components.recipes.one"),
    "stages are independent": ("components/warmup/stage.py", "import components.prepare.stage"),
    "stages know no pipeline": ("components/warmup/stage.py", "import pipelines.graph"),
    "kfp stays out of stages": ("components/warmup/stage.py", "import kfp"),
    "one file knows the cloud": ("components/core/store/local.py", "import boto3"),
    "tracking clients stay in tracking": ("components/core/loop.py", "import prometheus_client"),
}


def lint(folder: Path, files: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for parent in file.relative_to(folder).parents:
            if parent != Path():
                (folder / parent / "__init__.py").touch()
    shutil.copy(ROOT / "pyproject.toml", folder)
    program = "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-cache'])"
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


def test_the_contracts_name_the_stages_that_exist() -> None:
    layers = next(contract for contract in LINTER["contracts"] if contract["type"] == "layers")["layers"]
    named = {name for layer in layers if "|" in layer for name in re.findall(r"components\.(\w+)", layer)}
    assert named == set(stages())


def test_the_toy_project_keeps_the_contracts(tmp_path: Path) -> None:
    done = lint(tmp_path, FILES)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("rule", VIOLATIONS)
def test_a_violation_is_found(tmp_path: Path, rule: str) -> None:
    name, statement = VIOLATIONS[rule]
    done = lint(tmp_path, {**FILES, name: FILES.get(name, "") + statement + "\n"})
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout
