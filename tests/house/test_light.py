"""Help, configuration and `prepare` run where importing torch raises: the cpu image holds none."""

import subprocess
import sys

import pytest
from source import ROOT, stages

WITHOUT = "import sys; sys.modules.update(dict.fromkeys({names!r}));"


def run_without(names: tuple[str, ...], program: str) -> str:
    """Run a program in a process where importing `names` raises; returns what it prints."""
    command = [sys.executable, "-c", WITHOUT.format(names=names) + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_block_blocks() -> None:
    with pytest.raises(AssertionError, match="ModuleNotFoundError"):
        run_without(("torch",), "import torch")


@pytest.mark.parametrize("stage", stages())
def test_a_stage_is_described_without_torch(stage: str) -> None:
    program = (
        f"from components.{stage}.stage import STAGE; from components.core.stage import Stage;"
        "assert isinstance(STAGE, Stage); STAGE.config.model_json_schema(); print(STAGE.name, STAGE.input_ports())"
    )
    assert run_without(("torch", "torchvision", "kfp"), program).startswith(stage)


def test_the_recipes_union_needs_no_torch() -> None:
    run_without(("torch", "torchvision", "kfp"), "import components.recipes")


@pytest.mark.skipif(not (ROOT / "pipelines/cli.py").exists(), reason="the command line does not exist yet")
def test_thaw_help_needs_no_torch() -> None:
    program = "sys.argv = ['thaw', '--help']; from pipelines.cli import main; sys.exit(main())"
    assert "prepare" in run_without(("torch", "torchvision"), program)


@pytest.mark.skipif(not (ROOT / "components/__main__.py").exists(), reason="the container's door does not exist yet")
def test_the_containers_door_needs_neither_torch_nor_kfp() -> None:
    program = (
        "import runpy; sys.argv = ['components', '--help'];"
        "runpy.run_module('components', run_name='__main__', alter_sys=True)"
    )
    assert "prepare" in run_without(("torch", "torchvision", "kfp", "dvc"), program)
