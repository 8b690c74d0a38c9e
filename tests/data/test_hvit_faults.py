"""Every fault of hvit's raw folders, tables and values, named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components.core.errors import BadInput
from components.recipes.hvit.data import HVitData
from tests.data.leaf_folders import make, save, write_folders, write_table


def one_class(raw: Path) -> str:
    for name in ("blight", "healthy"):
        for path in (raw / name).iterdir():
            path.unlink()
        (raw / name).rmdir()
    return "all labelled pictures are of one class, 'rust'"


def empty_class(raw: Path) -> str:
    (raw / "wilt").mkdir()
    (raw / "wilt/notes.txt").write_text("none yet")
    return "the class folder 'wilt' holds no picture"


def stray(raw: Path) -> str:
    save(raw / "somewhere.png", 1)
    return r"1 picture\(s\) lie beside the class folders"


def parts(raw: Path) -> str:
    (raw / "train").mkdir()
    for name in ("rust", "blight", "healthy"):
        (raw / name).rename(raw / "train" / name)
    return "the folders are train: parts of a division, not classes"


def twins(raw: Path) -> str:
    save(raw / "rust/leaf0.bmp", 1)
    return "two cases have the name 'leaf0'"


def few_sources(raw: Path) -> str:
    for row in range(2, 6):
        (raw / f"rust/leaf{row}.png").unlink()
    return r"the class 'rust' is absent from (test|val): 2 picture\(s\) of 2 group\(s\) for 3 parts"


def no_column(raw: Path) -> str:
    write_table(raw, ["image", "class"], ["rust/leaf1.png", "rust"])
    return r"lacks the column\(s\) label"


def unknown_column(raw: Path) -> str:
    write_table(raw, ["image", "label", "gruop"], ["rust/leaf1.png", "rust", "1"])
    return "unknown or repeated column 'gruop'; did you mean 'group'"


def same_id(raw: Path) -> str:
    rows = [[f"rust/leaf{row}.png", "ab"[row % 2], "x"] for row in range(6)]
    write_table(raw, ["image", "label", "id"], *rows)
    return "two cases have the id 'x'"


def two_tables(raw: Path) -> str:
    for name in ("one.csv", "two.csv"):
        write_table(raw, ["image", "label"], ["rust/leaf1.png", "rust"], name=name)
    return "2 CSV tables of 2 may be meant"


def damaged(raw: Path) -> str:
    (raw / "rust/leaf3.png").write_bytes(b"not a picture")
    return r"1 of 18 cases cannot be read[\s\S]*rust/leaf3.png"


def nothing(raw: Path) -> str:
    for path in sorted(raw.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    return "the raw folder is empty"


@pytest.mark.parametrize(
    "fault", [one_class, empty_class, stray, parts, twins, few_sources, same_id, two_tables, damaged, nothing]
)
def test_faults(tmp_path: Path, fault: Callable[[Path], str]) -> None:
    raw = write_folders(tmp_path / "raw")
    message = fault(raw)
    with pytest.raises(BadInput, match=message) as caught:
        make(tmp_path / "made", raw)
    assert caught.value.where and caught.value.remedy and not (tmp_path / "made").exists()


@pytest.mark.parametrize("fault", [no_column, unknown_column])
def test_faults_of_a_table_that_was_asked_for(tmp_path: Path, fault: Callable[[Path], str]) -> None:
    raw = write_folders(tmp_path / "raw")
    message = fault(raw)
    with pytest.raises(BadInput, match=message):
        make(tmp_path / "made", raw, HVitData(layout="csv"))


def test_damaged_pictures_may_be_set_aside(tmp_path: Path) -> None:
    raw = write_folders(tmp_path / "raw")
    damaged(raw)
    dataset = make(tmp_path / "made", raw, max_fraction=0.1)
    assert [entry.file for entry in dataset.card.quarantine] == ["rust/leaf3.png"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"group_pattern": "("}, "not a regular expression"),
        ({"unlabelled": "a/b"}, "pattern"),
        ({"layout": "coco"}, "folders"),
        ({"unlabeled": "x"}, "Extra inputs"),
        ({"synthetic": {"classes": 1}}, "greater than or equal to 2"),
    ],
)
def test_settings_that_mean_nothing(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HVitData.model_validate(values)
