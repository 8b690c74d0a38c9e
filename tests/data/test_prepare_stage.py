"""The stage itself: what makes it run again, and that a fault leaves the finished output alone."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from components.core.config import merge, read_params, validate
from components.core.data.dataset import Dataset
from components.core.errors import BadInput
from components.core.stage import execute
from components.prepare.stage import STAGE, Config, Inputs, Outputs

PARAMS = Path(__file__).parents[2] / "pipelines/params/freqmedclip.yaml"
SMALL = {"synthetic": {"images": 12, "smallest": 48, "largest": 56}}
TINY = read_params(PARAMS, "tiny")["recipe"]
RECIPE = {"name": TINY["name"], "data": merge(TINY["data"], SMALL), "model": TINY["model"]}


def config(**changes: Any) -> Config:
    return validate(Config, {"recipe": RECIPE, **changes}, "test")


def test_twice_is_once(tmp_path: Path) -> None:
    outputs = Outputs(dataset=tmp_path / "made")
    assert execute(STAGE, config(), Inputs(), outputs)
    digest = Dataset.open(outputs.dataset).digest
    assert not execute(STAGE, config(runtime={"workers": 0}), Inputs(), outputs)
    assert execute(STAGE, config(split={"seed": 1}), Inputs(), outputs)
    assert Dataset.open(outputs.dataset).digest != digest
    assert Dataset.open(outputs.dataset).card.settings["split"]["seed"] == 1


def test_a_fault_leaves_the_finished_dataset_alone(tmp_path: Path) -> None:
    outputs = Outputs(dataset=tmp_path / "made")
    execute(STAGE, config(), Inputs(), outputs)
    before = Dataset.open(outputs.dataset).digest
    (tmp_path / "raw").mkdir()
    with pytest.raises(BadInput, match="is empty"):
        execute(STAGE, config(), Inputs(raw=tmp_path / "raw"), outputs)
    assert Dataset.open(outputs.dataset).digest == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "made.stage.json", "raw"]


def test_a_typo_is_named() -> None:
    with pytest.raises(BadInput, match="did you mean 'max_fraction'"):
        config(quarantine={"max_fractoin": 0.1})


def test_it_runs_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from components.prepare.stage import Config, Inputs, Outputs, run\n"
        f"config = Config.model_validate({{'recipe': {RECIPE!r}}})\n"
        f"run(config, Inputs(), Outputs(Path({str(tmp_path / 'made')!r})))"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert len(Dataset.open(tmp_path / "made").rows("train")) >= 8
