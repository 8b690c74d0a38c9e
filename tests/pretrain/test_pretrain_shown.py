"""Where people look: `thaw doctor` tries the phase if it is on, `thaw status` tells it once it has begun."""

from pathlib import Path
from typing import Any

import pytest

from components.cli.values import PARAMS
from components.core.config import read_params
from pipelines import doctor
from pipelines.rehearsal import Rehearsal, rehearse
from pipelines.status import read_status


def values(*overrides: str) -> dict[str, Any]:
    return read_params(PARAMS / "freqmedclip.yaml", "tiny", ("recipe.data.synthetic.images=12", *overrides))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    folder = tmp_path_factory.mktemp("on")
    return rehearse(values("pretrain.epochs=2", "pretrain.rate=2.0e-3"), "tiny", folder, untrained=False)


def test_a_phase_that_is_on_is_one_of_the_phases(whole: Rehearsal) -> None:
    assert list(whole.phases) == ["pretrain", "warmup", "partial_unfreeze", "end_to_end"]
    rows = doctor.part_rows(whole)
    trained = {row.name for row in rows if "pretrain" in row.rates}
    assert trained and all(name.startswith("vision") for name in trained)
    assert {row.rates["pretrain"] for row in rows if row.name in trained} == {2e-3}
    assert "pretrain" in [column.header for column in doctor.parameter_table(rows, whole.phases).columns]


def test_its_step_is_tried_on_two_pictures_at_least(whole: Rehearsal) -> None:
    report = doctor.try_step(whole.few(1), "pretrain")
    assert report.samples == 2
    assert report.loss > 0 and report.step_seconds > 0
    encoder = whole.task.encoder(whole.task.build_model(0))
    assert encoder is not None
    assert report.trainable > sum(parameter.numel() for parameter in encoder.module.parameters())
    assert doctor.try_step(whole.few(1), "warmup").samples == 2, "one picture, two targets"


def test_a_phase_that_is_off_is_none(tmp_path: Path) -> None:
    off = rehearse(values(), "tiny", tmp_path, untrained=False)
    assert "pretrain" not in off.phases and off.subjects == {}


def test_status_tells_it_once_it_has_begun(tmp_path: Path) -> None:
    (tmp_path / "prepare").mkdir()
    assert "pretrain" not in [one.stage for one in read_status(tmp_path)]
    (tmp_path / "pretrain").mkdir()
    assert [(one.stage, one.state) for one in read_status(tmp_path)][1] == ("pretrain", "unfinished")
