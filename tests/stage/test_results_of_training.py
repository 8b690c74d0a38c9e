"""A recipe in a fresh folder takes what finished elsewhere with the same code, values and data: no step is trained."""

from pathlib import Path

import pytest

from components.core.config import merge, read_params
from components.core.digest import digest_path
from components.core.engine.step import Stepper
from pipelines.local import Run, run_all

PARAMS = Path(__file__).resolve().parents[2] / "pipelines" / "params" / "freqmedclip.yaml"


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry per optimiser step that is trained."""
    run, done = Stepper.run, []

    def counted(self: Stepper, *arguments: object, **named: object) -> object:
        done.append(1)
        return run(self, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "run", counted)
    return done


def test_nothing_is_trained_twice_in_any_folder(tmp_path: Path, steps: list[int]) -> None:
    def run(place: str, epochs: int) -> Path:
        runtime = {"results": str(tmp_path / "kept"), "cache": {"dir": str(tmp_path / place / "cache")}}
        changes = {"runtime": {**runtime, "progress": False}, "warmup": {"epochs": epochs}}
        values = merge(read_params(PARAMS, "tiny"), changes)
        run_all(Run("freqmedclip", "tiny", values, "test", None, tmp_path / place), until="warmup")
        return tmp_path / place / "warmup" / "model"

    first = run("first", epochs=1)
    assert len(steps) > 0
    trained = len(steps)
    second = run("second", epochs=1)
    assert len(steps) == trained
    assert digest_path(second) == digest_path(first)
    run("third", epochs=2)
    assert len(steps) > trained
