"""Finished stages by content: fetched where the same run finished before, made again where anything differs."""

import json
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from components.core.errors import BadInput, Temporary
from components.core.runtime import Runtime
from components.core.stage import Stage, StageConfig, execute
from components.core.store import Store, open_store
from components.core.store.local import LocalStore
from tests.store.servers import BUCKET, EACH_SERVER


class Config(StageConfig):
    uses: ClassVar = ("word",)
    word: str = "a"


@dataclass(frozen=True)
class Inputs:
    text: Path


@dataclass(frozen=True)
class Outputs:
    copy: Path
    folder: Path


class Counted:
    """A stage that counts its runs."""

    def __init__(self, folder: Path, results: str | None) -> None:
        self.folder, self.results, self.runs = folder, results, 0
        self.stage = Stage("counted", "Count.", Config, Inputs, Outputs, self.run)
        self.text = folder / "text"
        self.text.write_text("text")

    def run(self, config: Config, inputs: Inputs, outputs: Outputs) -> None:
        self.runs += 1
        outputs.copy.write_text(config.word + inputs.text.read_text())
        (outputs.folder / "deep").mkdir(parents=True)
        (outputs.folder / "deep" / "file").write_bytes(b"\0" * 1000)
        (outputs.folder / "empty").touch()

    def into(self, place: str, word: str = "a", **runtime: Any) -> bool:
        """Run the stage into a folder of this name. Returns whether it ran."""
        there = self.folder / place
        config = Config(word=word, runtime=Runtime(results=self.results, **runtime))
        return execute(self.stage, config, Inputs(self.text), Outputs(there / "copy", there / "folder"))

    def made(self, place: str) -> dict[str, bytes]:
        there = self.folder / place
        files = (file for file in there.rglob("*") if file.is_file() and not file.name.endswith(".lock"))
        return {file.relative_to(there).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(params=["local", *EACH_SERVER])
def counted(request: pytest.FixtureRequest, tmp_path: Path, lead_to: Callable[[str], str]) -> Counted:
    if request.param == "local":
        return Counted(tmp_path, str(tmp_path / "kept"))
    lead_to(request.param)
    return Counted(tmp_path, f"s3://{BUCKET}/kept-{uuid.uuid4().hex}")


def blobs(counted: Counted) -> tuple[Store, list[str]]:
    store = open_store(str(counted.results))
    return store, [entry.key for entry in store.list("blobs/")]


def test_a_fresh_folder_is_given_what_finished_elsewhere(counted: Counted) -> None:
    assert counted.into("first")
    assert not counted.into("second")
    assert counted.runs == 1
    assert counted.made("second") == counted.made("first")
    assert "copy.stage.json" in counted.made("second")
    assert not counted.into("second"), "what was fetched is finished like what was made"


def test_another_value_or_another_input_is_another_run(counted: Counted) -> None:
    counted.into("first")
    assert counted.into("second", word="b")
    counted.text.write_text("other")
    assert counted.into("third")
    assert counted.runs == 3


def test_restart_makes_it_again(counted: Counted) -> None:
    counted.into("first")
    assert counted.into("second", restart=True)


def truncate(store: Store, key: str) -> None:
    store.put(key, store.get(key)[:-1])


def change(store: Store, key: str) -> None:
    store.put(key, b"x" * len(store.get(key)))


def delete(store: Store, key: str) -> None:
    store.delete(key)


@pytest.mark.parametrize("harm", [truncate, change, delete])
def test_a_harmed_file_is_made_again_with_a_warning(
    counted: Counted, harm: Callable[[Store, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    counted.into("first")
    store, keys = blobs(counted)
    harm(store, next(key for key in keys if len(store.get(key)) == 1000))
    assert counted.into("second")
    assert counted.made("second") == counted.made("first")
    assert "a kept result cannot be used" in caplog.text
    assert not counted.into("third"), "the run that made it again has mended the store"
    assert counted.made("third") == counted.made("first")


def other_files(manifest: dict[str, Any]) -> None:
    manifest["ports"]["folder"]["files"].pop("empty")


def outside(manifest: dict[str, Any]) -> None:
    files = manifest["ports"]["folder"]["files"]
    files["../outside"] = files.pop("empty")


def other_run(manifest: dict[str, Any]) -> None:
    manifest["record"]["code"] = "0" * 64


def no_port(manifest: dict[str, Any]) -> None:
    manifest["ports"].pop("copy")


def no_file(manifest: dict[str, Any]) -> None:
    manifest["ports"]["copy"]["files"] = {}


def newer(manifest: dict[str, Any]) -> None:
    manifest["schema"] = 99


@pytest.mark.parametrize("harm", [other_files, outside, other_run, no_port, no_file, newer])
def test_a_manifest_that_does_not_fit_is_never_believed(
    tmp_path: Path, harm: Callable[[dict[str, Any]], None], caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted(tmp_path, str(tmp_path / "kept"))
    counted.into("first")
    (file,) = (tmp_path / "kept" / "finished" / "counted").iterdir()
    manifest = json.loads(file.read_text())
    harm(manifest)
    file.write_text(json.dumps(manifest))
    assert counted.into("second")
    assert counted.made("second") == counted.made("first")
    assert not list(tmp_path.rglob("outside"))
    assert "a kept result cannot be used" in caplog.text


def test_a_truncated_manifest_is_made_again(tmp_path: Path) -> None:
    counted = Counted(tmp_path, str(tmp_path / "kept"))
    counted.into("first")
    (file,) = (tmp_path / "kept" / "finished" / "counted").iterdir()
    file.write_bytes(file.read_bytes()[:-20])
    assert counted.into("second")


def test_without_a_store_nothing_is_kept(tmp_path: Path) -> None:
    counted = Counted(tmp_path, None)
    counted.into("first")
    assert counted.into("second")


def test_a_store_that_takes_nothing_costs_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(store: LocalStore, key: str, data: bytes) -> str:
        raise Temporary("no answer", where=key)

    monkeypatch.setattr(LocalStore, "put", refuse)
    counted = Counted(tmp_path, str(tmp_path / "kept"))
    with caplog.at_level(logging.WARNING):
        assert counted.into("first")
    assert counted.made("first")["copy"] == b"atext"
    assert "could not be kept" in caplog.text


@pytest.mark.parametrize("kind", [Temporary, BadInput])
def test_a_store_that_cannot_be_read_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def refuse(store: LocalStore, key: str, *, limit: int | None = None) -> bytes:
        raise kind("no answer")

    monkeypatch.setattr(LocalStore, "get", refuse)
    counted = Counted(tmp_path, str(tmp_path / "kept"))
    with pytest.raises(kind, match="no answer"):
        counted.into("first")
    assert counted.runs == 0
    assert not list((tmp_path / "first").glob(".*unfinished"))
