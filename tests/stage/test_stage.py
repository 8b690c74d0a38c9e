"""A stage finishes whole or not at all, once, and alone."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from components.core.errors import BadInput, Temporary
from components.core.stage import Stage, StageConfig, execute


class Config(StageConfig):
    uses: ClassVar = ("word",)
    word: str = "a"
    note: str = ""


@dataclass(frozen=True)
class Inputs:
    text: Path
    more: Path | None = None


@dataclass(frozen=True)
class Outputs:
    copy: Path
    folder: Path


class Copier:
    """Counts its runs; `before` happens in the middle of one."""

    def __init__(self) -> None:
        self.runs = 0
        self.before = lambda: None
        self.stage = Stage("copier", "Copy.", Config, Inputs, Outputs, self.run)

    def run(self, config: Config, inputs: Inputs, outputs: Outputs) -> None:
        self.runs += 1
        outputs.copy.write_text(config.word + inputs.text.read_text())
        self.before()
        outputs.folder.mkdir()
        (outputs.folder / "file").write_text("done")

    def execute(self, folder: Path, **values: object) -> bool:
        outputs = Outputs(folder / "copy.txt", folder / "made")
        return execute(self.stage, Config(**values), Inputs(folder / "text"), outputs)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text("hello")
    return tmp_path


def test_equal_inputs_are_done_once_and_values_that_are_not_used_do_not_count(place: Path) -> None:
    copier = Copier()
    assert copier.execute(place)
    assert not copier.execute(place)
    assert not copier.execute(place, note="another", runtime={"workers": 7})
    assert copier.runs == 1


@pytest.mark.parametrize("change", ["value", "input", "output", "missing"])
def test_anything_that_changed_runs_it_again(place: Path, change: str) -> None:
    copier = Copier()
    copier.execute(place)
    if change == "input":
        (place / "text").write_text("other")
    if change == "output":
        (place / "made" / "file").write_text("touched")
    if change == "missing":
        (place / "copy.txt").unlink()
    assert copier.execute(place, word="b" if change == "value" else "a")
    assert copier.runs == 2
    assert (place / "made" / "file").read_text() == "done"


def test_a_failure_leaves_the_outputs_before_it_and_no_traces(place: Path) -> None:
    copier = Copier()
    copier.execute(place)
    names = sorted(path.name for path in place.iterdir())

    def fail() -> None:
        raise RuntimeError("in the middle")

    copier.before = fail
    with pytest.raises(RuntimeError):
        copier.execute(place, word="b")
    assert (place / "copy.txt").read_text() == "ahello"
    assert sorted(path.name for path in place.iterdir()) == names


def test_a_stage_that_makes_nothing_is_a_bug_and_not_a_success(place: Path) -> None:
    lazy = Stage("lazy", "Nothing.", Config, Inputs, Outputs, lambda *_: None)
    with pytest.raises(RuntimeError, match="without making its outputs"):
        execute(lazy, Config(), Inputs(place / "text"), Outputs(place / "copy.txt", place / "made"))


def test_a_missing_input_is_named_with_its_option(place: Path) -> None:
    (place / "text").unlink()
    with pytest.raises(BadInput, match="input 'text' does not exist") as caught:
        Copier().execute(place)
    assert "--text" in caught.value.remedy


def test_two_at_once_do_not_mix(place: Path) -> None:
    first, second = Copier(), Copier()
    outcome: list[BaseException] = []

    def intrude() -> None:
        def other() -> None:
            try:
                second.execute(place)
            except Temporary as error:
                outcome.append(error)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    first.before = intrude
    assert first.execute(place)
    assert len(outcome) == 1
    assert "another process" in str(outcome[0])
    assert second.runs == 0
    assert (place / "copy.txt").read_text() == "ahello"
