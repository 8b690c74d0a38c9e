"""`thaw params` prints every value of a recipe, those that no file states included."""

from pathlib import Path

import pytest
import yaml

from pipelines.cli import main


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["params", "freqmedclip", *words]) == 0
    found: dict[str, object] = yaml.safe_load(capsys.readouterr().out)
    return found


def test_defaults_are_printed_beside_what_the_file_states(capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "--size", "tiny", "--set", "evaluate.draws=123")
    assert found["evaluate"] == {
        "batch_size": 8,
        "baselines": True,
        "probes": True,
        "tta": None,
        "pictures": 6,
        "draws": 123,
    }
    assert found["quarantine"] == {"max_fraction": 0.0}
    assert isinstance(found["runtime"], dict)
    assert found["runtime"]["checkpoints"]["every_steps"] == 200
    assert isinstance(found["recipe"], dict)
    assert found["recipe"]["augment"]["rotation"] == 15.0


def test_what_is_printed_is_a_params_file_of_the_same_values(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(capsys, "--size", "demo")
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(found), encoding="utf-8")
    assert printed(capsys, "--params", str(tmp_path / "mine.yaml")) == found


def test_a_typo_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["params", "freqmedclip", "--size", "tiny", "--set", "evaluate.drws=9"]) == 2
    assert "did you mean 'draws'?" in capsys.readouterr().err
