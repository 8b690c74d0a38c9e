"""A prepare that was killed goes on with the cases it decoded, and the finished bytes are those of one that was not."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from components.core.config import Values
from components.core.data.card import VolumeFacts
from components.core.data.case import Decoded
from components.core.data.dataset import Dataset
from components.core.data.kept import Kept
from components.core.data.prepare import kept_beside, prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.digest import digest_path
from components.core.errors import BadInput
from components.recipes.contract import RawCase

COUNT = 12

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.data.test_prepare_resume import Costly, made

def kill(number):
    if number == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

made(Costly(), Path(sys.argv[1]), Path(sys.argv[2]), before=kill, workers=int(sys.argv[4]))
"""


class Costly(Values):
    """A data source that counts what it decodes, and may fail or end the process before a case."""

    factor: int = 1
    key: str = ""

    def read(self, raw: Path) -> Sequence[RawCase]:
        return [self._case(path, row) for row, path in enumerate(sorted(raw.glob("*.txt")))]

    def synthesize(self, folder: Path) -> "Costly":
        raise NotImplementedError

    def _case(self, path: Path, row: int) -> RawCase:
        return RawCase(
            path.stem, (path,), "all", lambda: self._load(path, row), group=path.stem, resume_key=f"{self.key}{row}"
        )

    def _load(self, path: Path, row: int) -> Decoded:
        BEFORE[-1](row)
        LOADED.append(path.stem)
        picture = np.random.default_rng(int(path.read_text()) * self.factor).integers(0, 255, (8, 9, 3), np.uint8)
        facts = VolumeFacts(
            shape=(8, 9, 3), spacing_mm=(1.5, 0.1, 0.7), hu_min=-1e3, hu_max=1 / 3, slices=8, places=[0.1 * row],
            rescaling="none", lungs=None,
        )  # fmt: skip
        return Decoded({"picture": picture}, {"told": 0.1 * row, "word": "ü"}, facts)


LOADED: list[str] = []
BEFORE: list[Callable[[int], None]] = [lambda row: None]


@pytest.fixture(autouse=True)
def forget() -> None:
    LOADED.clear()


def made(
    source: Costly,
    raw: Path,
    folder: Path,
    before: Callable[[int], None] = lambda row: None,
    workers: int = 0,
    **more: bool,
) -> dict[str, str]:
    """Digest of every file of the finished dataset."""
    BEFORE.append(before)
    try:
        with mock.patch(
            "components.core.data.prepare.digest_code", return_value="code"
        ):  # who edits it does not disturb
            prepare(source, raw, Split(), QuarantineLimits(), folder, recipe="costly", workers=workers, **more)
    finally:
        BEFORE.pop()
    return {path.name: digest_path(path) for path in sorted(folder.iterdir())}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    (tmp_path / "raw").mkdir()
    for row in range(COUNT):
        (tmp_path / f"raw/{row:02d}.txt").write_text(str(row))
    return tmp_path / "raw"


class Interrupted(Exception):
    pass


def stop_at(number: int) -> Callable[[int], None]:
    def before(row: int) -> None:
        if row == number:
            raise Interrupted

    return before


def interrupt(source: Costly, raw: Path, folder: Path, at: int = 7) -> None:
    with pytest.raises(Interrupted):
        made(source, raw, folder, stop_at(at))
    assert len(LOADED) == at and not folder.exists()
    LOADED.clear()


@pytest.mark.parametrize(("workers", "moments"), [(0, [3, 9]), (2, [9])])
def test_killed_with_nine_it_goes_on_to_the_same_bytes(
    raw: Path, tmp_path: Path, workers: int, moments: Sequence[int]
) -> None:
    whole = made(Costly(), raw, tmp_path / "whole")
    for moment in moments:
        command = [sys.executable, "-c", KILLED, str(raw), str(tmp_path / "made"), str(moment), str(workers)]
        assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2], timeout=300).returncode == -9
    kept = len(list(kept_beside(tmp_path / "made").rglob("*.case")))
    assert 7 <= kept <= 10 and (workers or kept == 9)
    for path in (tmp_path / "made").iterdir():  # what a stage does with its unfinished outputs
        path.unlink()
    LOADED.clear()
    assert made(Costly(), raw, tmp_path / "made") == whole
    assert len(LOADED) == COUNT - kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "raw", "whole"]


def test_a_changed_file_is_decoded_anew(raw: Path, tmp_path: Path) -> None:
    interrupt(Costly(), raw, tmp_path / "made")
    (raw / "02.txt").write_text("99")
    made(Costly(), raw, tmp_path / "made")
    assert LOADED == ["02", "07", "08", "09", "10", "11"]
    picture = np.random.default_rng(99).integers(0, 255, (8, 9, 3), np.uint8)
    assert np.array_equal(Dataset.open(tmp_path / "made").array("02", "picture"), picture)


@pytest.mark.parametrize("changed", [Costly(factor=2), Costly(key="other")])
def test_other_settings_or_another_key_decode_anew(raw: Path, tmp_path: Path, changed: Costly) -> None:
    interrupt(Costly(), raw, tmp_path / "made")
    made(changed, raw, tmp_path / "made")
    assert len(LOADED) == COUNT


def test_what_other_settings_left_is_removed(raw: Path, tmp_path: Path) -> None:
    interrupt(Costly(), raw, tmp_path / "made")
    interrupt(Costly(factor=2), raw, tmp_path / "made", at=2)
    assert len(list(kept_beside(tmp_path / "made").rglob("*.case"))) == 2


def test_damaged_and_half_written_cases_are_decoded_anew(raw: Path, tmp_path: Path) -> None:
    whole = made(Costly(), raw, tmp_path / "whole")
    LOADED.clear()
    interrupt(Costly(), raw, tmp_path / "made")
    first, second, *_ = sorted(kept_beside(tmp_path / "made").rglob("*.case"))
    first.write_bytes(first.read_bytes()[:-1] + b"x")
    second.write_bytes(second.read_bytes()[:50])
    assert made(Costly(), raw, tmp_path / "made") == whole
    assert len(LOADED) == COUNT - 7 + 2


def test_restart_decodes_everything(raw: Path, tmp_path: Path) -> None:
    interrupt(Costly(), raw, tmp_path / "made")
    made(Costly(), raw, tmp_path / "made", restart=True)
    assert len(LOADED) == COUNT


def test_after_a_fault_that_was_mended_nothing_is_lost(raw: Path, tmp_path: Path) -> None:
    def refuse(row: int) -> None:
        if row == 5:
            raise BadInput("two studies", where="there", remedy="part them")

    with pytest.raises(BadInput, match="two studies"):
        made(Costly(), raw, tmp_path / "made", refuse)
    LOADED.clear()
    made(Costly(), raw, tmp_path / "made")
    assert LOADED[0] == "05" and len(LOADED) == COUNT - 5


def test_facts_come_back_as_they_were(tmp_path: Path) -> None:
    facts = VolumeFacts(
        shape=(1, 2, 3), spacing_mm=(0.1, 1 / 3, 1e-9), hu_min=-1024.1, hu_max=3e3, slices=2, places=[0.1, 2.0],
        rescaling="slope 1, intercept 0", lungs=True,
    )  # fmt: skip
    arrays = {"a": np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::-1], "b\n": np.float32([[1.5]])}
    kept = Kept(tmp_path / "kept", "context")
    kept.put("id/1", "", "sha", Decoded(arrays, {"x": 1, "y": 0.1, "z": "\n"}, facts))
    found = kept.get("id/1", "", "sha")
    assert found is not None and found.volume == facts and found.attributes == {"x": 1, "y": 0.1, "z": "\n"}
    assert all(np.array_equal(found.arrays[name], array) for name, array in arrays.items())
    assert kept.get("id/1", "other", "sha") is None and kept.get("id/1", "", "other") is None
