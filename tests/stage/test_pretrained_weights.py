"""Pretrained weights are told by their content: other bytes under the same name are another run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from components import stages
from components.cli.values import PARAMS, configure
from components.core import digest
from components.core.config import read_params
from components.core.errors import BadInput
from components.core.stage import Stage, StageConfig, execute

BUILD_A_MODEL = ("pretrain", "warmup", "partial_unfreeze", "end_to_end", "evaluate", "export")


class Config(StageConfig):
    uses: ClassVar = ()
    weights: Path

    def weight_files(self) -> Mapping[str, Path]:
        return {"tower": self.weights}


@dataclass(frozen=True)
class Inputs:
    more: Path | None = None


@dataclass(frozen=True)
class Outputs:
    copy: Path


def run(config: Config, inputs: Inputs, outputs: Outputs) -> None:
    outputs.copy.write_bytes(config.weights.read_bytes())


STAGE = Stage("copier", "Copy.", Config, Inputs, Outputs, run)


def swap(file: Path, data: bytes) -> None:
    """Other content, as if of a later time."""
    file.write_bytes(data)
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime + 5))


def test_a_swapped_file_is_another_run(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    call = (STAGE, Config(weights=file), Inputs(), Outputs(tmp_path / "copy"))
    assert execute(*call)
    assert not execute(*call)
    swap(file, b"two")
    assert execute(*call)
    assert (tmp_path / "copy").read_bytes() == b"two"


def test_a_moved_file_is_the_same_run(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name).write_bytes(b"one")
    found = [STAGE.identity(Config(weights=tmp_path / name), Inputs()) for name in ("here", "there")]
    assert found[0] == found[1]
    assert list(found[0].inputs) == ["weights:tower"]


def test_weights_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="'tower' are not there") as caught:
        execute(STAGE, Config(weights=tmp_path / "none"), Inputs(), Outputs(tmp_path / "copy"))
    assert caught.value.where == str(tmp_path / "none")
    assert not (tmp_path / "copy").exists()


def test_unchanged_files_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    whole = digest.digest_path
    monkeypatch.setattr(digest, "digest_path", lambda path: (read.append(path), whole(path))[1])
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    first = digest.digest_once(folder)
    assert digest.digest_once(folder) == first == whole(folder)
    assert read.count(folder) == 1
    swap(folder / "a", b"2")
    assert digest.digest_once(folder) == whole(folder) != first
    assert read.count(folder) == 2


@pytest.mark.parametrize("name", stages.NAMES)
def test_every_stage_that_builds_a_model_digests_what_the_recipe_reads(name: str, tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for file in ("clip/vocab.txt", "clip.bin", "sam.pth"):
        (tmp_path / file).write_text(file)
    values: dict[str, Any] = read_params(PARAMS / "freqmedclip.yaml", "tiny")
    clip = {"kind": "local", "folder": tmp_path / "clip", "weights": tmp_path / "clip.bin"}
    values["recipe"]["model"]["clip"] = clip
    values["recipe"]["model"]["sam"] = {"kind": "checkpoint", "file": tmp_path / "sam.pth"}
    files = configure(stages.load(name), values, "test").weight_files()
    expected = {
        "clip.folder": tmp_path / "clip",
        "clip.weights": tmp_path / "clip.bin",
        "sam.file": tmp_path / "sam.pth",
    }
    assert files == (expected if name in BUILD_A_MODEL else {})
