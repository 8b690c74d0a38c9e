"""hvit's pictures: class folders and tables, sources and unlabelled ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.data.splits import Ratios, Split
from components.recipes.contract import DataSource
from components.recipes.hvit.data import HVitData
from components.recipes.hvit.synthetic import Synthetic
from tests.data.leaf_folders import DATA, NAMED, make, save, write_folders, write_table


def test_it_is_a_data_source() -> None:
    assert isinstance(DATA, DataSource)


def test_class_folders(tmp_path: Path) -> None:
    raw = write_folders(tmp_path)
    save(raw / "rust/deep/er/x.JPG", 900)
    save(raw / "unlabelled/field/y.png", 901)
    (raw / "index.csv").write_text("path,class\nx,y\n")  # a table that is not ours
    (raw / "SOURCE.txt").write_text("from somewhere")
    cases = {case.id: case for case in DATA.read(raw)}
    assert len(cases) == 20
    deep, free = cases["rust/deep/er/x"], cases["unlabelled/field/y"]
    assert (deep.stratum, deep.group, deep.labelled) == ("rust", None, True)
    assert (free.stratum, free.labelled) == ("", False)
    assert deep.attributes == {"layout": "folders"}
    assert deep.load()["image"].shape == (32, 36, 3) and deep.load()["image"].dtype == np.uint8
    assert {case.group for case in NAMED.read(write_folders(tmp_path / "named"))} == {
        str(100 * number + row) for number in range(3) for row in range(6)
    }


def test_table(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", 1)
    save(tmp_path / "i/b.png", 2)
    save(tmp_path / "i/c.png", 3)
    rows = (["i/a.png", "rust", "leaf-1", "first"], ["i/b.png", "healthy", "", ""], ["i/c.png", "", "leaf-1", ""])
    write_table(tmp_path, ["image", "label", "group", "id"], *rows)
    write_table(tmp_path, ["something", "else"], name="notes.csv")
    cases = {case.id: case for case in DATA.read(tmp_path)}
    assert (cases["first"].stratum, cases["first"].group) == ("rust", "leaf-1")
    assert (cases["i/b"].stratum, cases["i/b"].group, cases["i/b"].labelled) == ("healthy", None, True)
    assert (cases["i/c"].stratum, cases["i/c"].group, cases["i/c"].labelled) == ("", "leaf-1", False)


def test_grey_levels_of_more_than_8_bits_go_through_the_window(tmp_path: Path) -> None:
    levels = np.linspace(0, 4000, 48).reshape(6, 8).astype(np.uint16)
    save(tmp_path / "a/x.png", 0, levels)
    save(tmp_path / "b/x.png", 0)
    image = HVitData(window=(1000, 3000)).read(tmp_path)[0].load()["image"]
    assert image.shape == (6, 8, 3)
    assert np.array_equal(image[..., 0], np.clip(np.rint((levels - 1000.0) * 255 / 2000), 0, 255))


def test_classes_are_numbered_by_name(tmp_path: Path) -> None:
    dataset = make(tmp_path / "made", write_folders(tmp_path / "raw"), NAMED)
    assert dataset.card.label_names == {"0": "blight", "1": "healthy", "2": "rust"}
    assert dataset.card.groups.found == "given" and dataset.card.groups.clusters is None
    assert dataset.card.arrays["image"].largest == [32, 36, 3]
    for part in ("train", "val", "test"):
        assert {row.stratum for row in dataset.rows(part)} == {"blight", "healthy", "rust"}


def copy_of(raw: Path, row: int, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    return np.ascontiguousarray(change(np.asarray(Image.open(raw / f"rust/leaf{row}.png"))))


def test_edited_copies_never_cross_a_split(tmp_path: Path) -> None:
    raw = write_folders(tmp_path / "raw", 8)
    for row in range(8):
        brighter = copy_of(raw, row, lambda x: np.clip(x.astype(int)[:, ::-1] + 25, 0, 255).astype(np.uint8))
        save(raw / f"rust/copy{row}.png", 0, brighter)
        save(raw / f"rust/turned{row}.jpg", 0, copy_of(raw, row, np.rot90))
    dataset = make(tmp_path / "made", raw)
    for row in range(8):
        parts = {dataset.row(f"rust/{name}{row}").split for name in ("leaf", "copy", "turned")}
        assert len(parts) == 1
    found = dataset.card.groups.clusters
    assert found is not None and (found.count, found.cases, found.across_strata) == (8, 24, 0)
    assert found.largest[0].size == 3 and found.largest[0].strata == {"rust": 3}
    assert found.largest[0].examples == ["rust/copy0", "rust/leaf0", "rust/turned0"]
    assert dataset.card.groups.count == 24


def test_a_copy_under_another_class_is_told(tmp_path: Path) -> None:
    raw = write_folders(tmp_path / "raw", 8)
    save(raw / "healthy/same.png", 0, copy_of(raw, 0, lambda x: x))
    card = make(tmp_path / "made", raw).card
    assert card.groups.clusters is not None and card.groups.clusters.across_strata == 1
    assert card.groups.clusters.largest[0].strata == {"healthy": 1, "rust": 1}
    assert "1 cluster(s) of near-duplicates have cases of several strata: labels may be wrong" in card.warnings


def test_given_groups_that_part_copies_are_told(tmp_path: Path) -> None:
    rows = []
    for row in range(30):
        save(tmp_path / f"raw/{row:02d}.png", row)
        save(tmp_path / f"raw/{row:02d}-again.png", row)
        rows += [[f"{row:02d}.png", "ab"[row % 2], f"g{row}"], [f"{row:02d}-again.png", "ab"[row % 2], f"h{row}"]]
    save(tmp_path / "raw/free.png", 99)
    write_table(tmp_path / "raw", ["image", "label", "group"], *rows, ["free.png", "a", ""])
    warnings = make(tmp_path / "made", tmp_path / "raw").card.warnings
    assert any("near-duplicates cross splits, because given groups part them" in warning for warning in warnings)


@pytest.mark.parametrize("given", [True, False])
def test_unlabelled_pictures_show_nothing_that_is_held_out(tmp_path: Path, given: bool) -> None:
    raw = write_folders(tmp_path / "raw", 8)
    for number, name in enumerate(("rust", "blight", "healthy")):
        for row in range(8):
            leaf = 100 * number + row
            pixels = np.asarray(Image.open(raw / name / f"leaf{leaf}.png"))
            # By name another picture of the leaf; by content a mirrored copy.
            save(raw / f"unlabelled/leaf{leaf}-again.png", 5000 + leaf, None if given else pixels[:, ::-1].copy())
    save(raw / "unlabelled/leaf7777.png", 7777)
    dataset = make(tmp_path / "made", raw, NAMED if given else DATA)
    plain = make(tmp_path / "plain", write_folders(tmp_path / "less", 8), NAMED if given else DATA)
    labelled = [row for part in ("train", "val", "test") for row in dataset.rows(part)]
    assert len(labelled) == 24 and {row.split for row in labelled} == {"train", "val", "test"}
    if given:  # unlabelled ones have no part in the division
        assert [(row.id, row.split) for row in labelled] == [
            (row.id, row.split) for part in ("train", "val", "test") for row in plain.rows(part)
        ]
    held_out = [row.id.split("/")[1] for part in ("val", "test") for row in dataset.rows(part)]
    trained = [row.id.split("/")[1] for row in dataset.rows("train")]
    kept = [row.id for row in dataset.rows("unlabelled")]
    assert kept == sorted([*(f"unlabelled/{name}-again" for name in trained), "unlabelled/leaf7777"])
    assert [entry.id for entry in dataset.card.left_out] == sorted(f"unlabelled/{name}-again" for name in held_out)
    assert dataset.card.left_out[0].file.startswith("unlabelled/leaf")
    assert f"{len(held_out)} unlabelled case(s) left out: of one source with what is held out" in dataset.card.warnings
    assert dataset.card.counts["unlabelled"] == {"": len(kept)} and "" not in dataset.card.counts["train"]
    assert dataset.splits == ["train", "val", "test", "unlabelled"]
    dataset.verify()


def test_only_unlabelled_pictures(tmp_path: Path) -> None:
    for row in range(5):
        save(tmp_path / f"raw/unlabelled/{row}.png", row)
    dataset = make(tmp_path / "made", tmp_path / "raw")
    assert dataset.splits == ["unlabelled"] and len(dataset.rows("unlabelled")) == 5
    assert dataset.card.label_names == {}
    assert "no case is labelled: only pretrain can use this dataset" in dataset.card.warnings


def test_synthetic_leaves_are_prepared(tmp_path: Path) -> None:
    data = HVitData(synthetic=Synthetic(images=60, unlabelled=8, size=32))
    dataset = make(tmp_path / "made", None, data)
    card = dataset.card
    assert card.synthetic and card.groups.found == "given" and card.warnings == []
    assert list(card.label_names.values()) == ["blight", "healthy", "mosaic", "rings", "spots"]
    assert len(dataset.rows("unlabelled")) == 8
    assert sum(len(dataset.rows(part)) for part in ("train", "val", "test")) == 60
    assert card.groups.count < 68


def test_folds_need_a_class_in_train_alone(tmp_path: Path) -> None:
    raw = write_folders(tmp_path / "raw")
    for row in range(3, 6):
        (raw / f"rust/leaf{row}.png").unlink()
    tested = []
    for fold in range(4):
        dataset = make(tmp_path / f"fold{fold}", raw, split=Split(folds=4, fold=fold))
        tested += [row.id for row in dataset.rows("test")]
        assert list(dataset.card.label_names.values()) == ["blight", "healthy", "rust"]
    assert len(tested) == len(set(tested)) == 15


def test_a_part_for_calibration_needs_every_class_too(tmp_path: Path) -> None:
    raw = write_folders(tmp_path / "raw")
    ratios = Ratios(train=0.4, val=0.2, test=0.2, calibration=0.2)
    dataset = make(tmp_path / "made", raw, split=Split(ratios=ratios, every_stratum=True))
    assert {row.stratum for row in dataset.rows("calibration")} == {"blight", "healthy", "rust"}


def test_a_group_of_its_own_does_not_let_a_copy_of_what_is_held_out_in(tmp_path: Path) -> None:
    rows = []
    for row in range(24):
        save(tmp_path / f"raw/{row:02d}.png", row)
        save(tmp_path / f"raw/{row:02d}-free.png", row)
        rows += [[f"{row:02d}.png", "ab"[row % 2], f"g{row}"], [f"{row:02d}-free.png", "", f"other{row}"]]
    save(tmp_path / "raw/last.png", 99)
    write_table(tmp_path / "raw", ["image", "label", "group"], *rows, ["last.png", "a", ""])
    dataset = make(tmp_path / "made", tmp_path / "raw")
    trained = {row.id for row in dataset.rows("train")}
    assert [row.id for row in dataset.rows("unlabelled")] == [
        f"{row:02d}-free" for row in range(24) if f"{row:02d}" in trained
    ]
