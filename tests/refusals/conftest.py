"""What a refusal is judged by: one message with a place and a remedy, the exit code, and a folder left as it was."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main

ALLOWED = (".checkpoints", ".history.jsonl")
"""Endings of what a training stage keeps for its next attempt."""


@dataclass(frozen=True)
class Refusal:
    """How a command ended that should not have worked."""

    code: int
    text: str


Refuse = Callable[..., Refusal]


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """The command line sets up the root logger; other tests want theirs back."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Call it with a command line that must fail. Outputs belong below `tmp_path / "out"`."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)

    def run(*words: object, code: int = 2) -> Refusal:
        found = main([str(word) for word in words])
        text = capsys.readouterr().err
        assert found == code, text
        assert text.count("thaw: error") == 1, text
        assert "Traceback" not in text
        assert "remedy:" in text
        assert left_behind(tmp_path / "out") == []
        return Refusal(found, text)

    return run


def left_behind(out: Path) -> list[str]:
    """What an attempt that failed should not have left: outputs, records, temporary files."""
    if not out.exists():
        return []
    files = [path.relative_to(out) for path in sorted(out.rglob("*")) if not path.is_dir()]
    return [str(file) for file in files if not any(part.endswith(ALLOWED) for part in file.parts) or unfinished(file)]


def unfinished(file: Path) -> bool:
    return "unfinished" in file.name


def picture(path: Path, seed: int, size: tuple[int, int] = (40, 40)) -> Path:
    """A grey picture of noise, PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)).save(path)
    return path


def mask(path: Path, size: tuple[int, int] = (40, 40)) -> Path:
    """A square of ones, PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(size, np.uint8)
    values[10:20, 10:30] = 1
    Image.fromarray(values).save(path)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Twelve pictures with masks, all of one kind."""
    for number in range(12):
        picture(tmp_path / f"raw/images/{number:02d}.png", number)
        mask(tmp_path / f"raw/masks/{number:02d}.png")
    return tmp_path / "raw"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The synthetic data set of size tiny."""
    folder = tmp_path_factory.mktemp("prepared") / "dataset"
    assert main(["prepare", "freqmedclip", "--dataset", str(folder)]) == 0
    return folder
