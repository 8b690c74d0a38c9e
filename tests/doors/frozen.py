"""A copy of the project that no edit reaches: finished stages are known by the digest of the code that made them."""

import os
import shutil
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PARTS = ("components", "pipelines", "dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore")

LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")

THAW = """#!/bin/sh
exec "{python}" -m pipelines "$@"
"""


def freeze(folder: Path) -> Path:
    """Copy what runs into a new folder, and return it."""
    for part in PARTS:
        source, target = ROOT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=LEFT_OUT)
        else:
            shutil.copy2(source, target)
    return folder


def environment(project: Path, commands: Path) -> dict[str, str]:
    """Environment variables of a process for which `components`, `pipelines` and `thaw` are the copy's.

    Args:
        project: The copy.
        commands: Folder for a `thaw` that is found before every other one.
    """
    commands.mkdir(parents=True, exist_ok=True)
    thaw = commands / "thaw"
    thaw.write_text(THAW.format(python=sys.executable), encoding="utf-8")
    thaw.chmod(thaw.stat().st_mode | stat.S_IXUSR)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "THAW_", "DVC_"))}
    return {
        **kept,
        "PATH": os.pathsep.join([str(commands), str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
        "PYTHONPATH": str(project),
        "OMP_NUM_THREADS": "1",
    }


def python(module: str, *arguments: str) -> Sequence[str]:
    """The command line that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]
