"""`thaw cache`: what is listed is what is there, and pruning keeps what was used last."""

import os
from pathlib import Path

import pytest
import torch

from components.core.engine.cache import INDEX, FeatureCache
from components.core.runtime import Cache
from pipelines.cli import main


def fill(folder: Path, key: str, used: float, rows: int = 1000) -> None:
    FeatureCache(Cache(dir=folder)).open(key, f"features of {key}", rows, rows, lambda a, b: torch.ones(b - a, 1000))
    for file in (folder / key).iterdir():
        os.utime(file, (used, used))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, key in enumerate(("old", "middle", "new")):
        fill(tmp_path / "cache", key, used=1e9 + number)
    return tmp_path / "cache"


def test_list_shows_keys_sizes_and_notes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "list", "--dir", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert [printed.index(f"features of {key}") for key in ("old", "middle", "new")] == sorted(
        printed.index(f"features of {key}") for key in ("old", "middle", "new")
    )
    assert "4 MB" in printed


def test_prune_keeps_the_newest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "prune", "--dir", str(folder), "--keep-gb", "0.009"]) == 0
    assert "freed 4 MB" in capsys.readouterr().out
    assert sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) == ["middle", "new"]
    assert main(["cache", "prune", "--dir", str(folder)]) == 0
    assert not [entry for entry in folder.iterdir() if entry.is_dir()]


def test_an_unfinished_key_is_named_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "old" / INDEX).unlink()
    assert main(["cache", "list", "--dir", str(folder)]) == 0
    assert "unfinished" in capsys.readouterr().out


def test_what_cannot_be_done_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "list", "--dir", str(folder / "absent")]) == 2
    assert "remedy: give --dir" in capsys.readouterr().err
    assert main(["cache", "prune", "--dir", str(folder), "--keep-gb", "-1"]) == 2
    assert len([entry for entry in folder.iterdir() if entry.is_dir()]) == 3
