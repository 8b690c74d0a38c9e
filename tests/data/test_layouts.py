"""Layouts: every accepted arrangement gives the same pixels, and every fault is named."""

import csv
import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from pydantic import ValidationError

from components.core.errors import BadInput
from components.recipes.contract import RawCase
from components.recipes.freqmedclip.data import FreqMedClipData

ONE = FreqMedClipData(prompts={1: "a lesion"}, captions={"*": "{stratum}: {prompt}", "normal": "nothing in it"})
TWO = FreqMedClipData(prompts={1: "a dark lesion", 2: "a bright lesion"})

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
SQUARE = np.zeros((20, 30), np.uint8)
SQUARE[5:9, 10:20] = 1
OTHER = np.zeros((20, 30), np.uint8)
OTHER[12:15, 2:8] = 1


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def by_id(cases: list[RawCase]) -> dict[str, RawCase]:
    return {case.id: case for case in cases}


def write_table(folder: Path, header: list[str], *rows: list[str]) -> None:
    with (folder / "index.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


def test_class_folders_merge_masks(tmp_path: Path) -> None:
    save(tmp_path / "benign/benign (1).png", IMAGE)
    save(tmp_path / "benign/benign (1)_mask.png", SQUARE.astype(bool))  # 1 bit, as in BUSI
    save(tmp_path / "benign/benign (1)_mask_1.png", OTHER * np.uint8(255))
    save(tmp_path / "normal/normal (2).png", IMAGE)
    save(tmp_path / "normal/normal (2)_mask.png", np.zeros((20, 30, 3), np.uint8))
    (tmp_path / "SOURCE.txt").write_text("from somewhere")
    cases = by_id(ONE.read(tmp_path))
    first, second = cases["benign/benign (1)"], cases["normal/normal (2)"]
    assert np.array_equal(first.load()["mask"], SQUARE | OTHER)
    assert np.array_equal(first.load()["image"], IMAGE)
    assert len(first.sources) == 3 and first.group is None and first.stratum == "benign"
    assert first.attributes == {"layout": "busi", "caption_1": "benign: a lesion"}
    assert second.attributes["caption_1"] == "nothing in it" and not second.load()["mask"].any()


def test_pairs_with_folders_and_labels(tmp_path: Path) -> None:
    save(tmp_path / "images/x/a.png", IMAGE)
    save(tmp_path / "masks/x/a.tif", SQUARE * np.uint8(2) + OTHER)
    (case,) = TWO.read(tmp_path)
    assert (case.id, case.stratum) == ("x/a", "x")
    assert np.array_equal(case.load()["mask"], SQUARE * 2 + OTHER)


def test_table(tmp_path: Path) -> None:
    save(tmp_path / "i/a.png", IMAGE)
    save(tmp_path / "m/a.png", SQUARE * np.uint8(255))
    save(tmp_path / "i/b.png", IMAGE)
    header = ["image", "mask", "prompt", "caption", "group", "stratum"]
    write_table(
        tmp_path, header, ["i/a.png", "m/a.png", "the cyst", "a big cyst", "p1", "cyst"], ["i/b.png", *[""] * 5]
    )
    cases = by_id(ONE.read(tmp_path))
    first, second = cases["i/a"], cases["i/b"]
    assert (first.group, first.stratum) == ("p1", "cyst")
    assert first.attributes == {"layout": "csv", "prompt": "the cyst", "caption_1": "a big cyst"}
    assert np.array_equal(first.load()["mask"], SQUARE)
    assert second.group is None and not second.load()["mask"].any()


def coco_document(segmentations: list[tuple[int, Any]]) -> dict[str, Any]:
    return {
        "images": [{"id": 7, "file_name": "a.png", "height": 20, "width": 30}],
        "categories": [{"id": 1, "name": "cyst"}, {"id": 2, "name": "mass"}],
        "annotations": [
            {"id": row, "image_id": 7, "category_id": category, "segmentation": segmentation, "iscrowd": 0}
            for row, (category, segmentation) in enumerate(segmentations)
        ],
    }


def write_coco(folder: Path, document: dict[str, Any]) -> None:
    save(folder / "images/a.png", IMAGE)
    (folder / "annotations.json").write_text(json.dumps(document))


def plain(mask: np.ndarray) -> dict[str, Any]:
    flat = np.concatenate([[0], mask.T.reshape(-1), [1 - int(mask[-1, -1])]])
    edges = np.flatnonzero(np.diff(flat)) + 0
    return {"size": list(mask.shape), "counts": np.diff(np.concatenate([[0], edges])).tolist()}


def test_coco_forms_agree(tmp_path: Path) -> None:
    packed = coco.encode(np.asfortranarray(OTHER))
    polygon = [[10, 5, 20, 5, 20, 9, 10, 9]]
    write_coco(
        tmp_path,
        coco_document([(2, {"size": [20, 30], "counts": packed["counts"].decode()}), (1, polygon), (1, plain(SQUARE))]),
    )
    (case,) = TWO.read(tmp_path)
    assert case.stratum == "cyst+mass" and len(case.sources) == 2
    mask = case.load()["mask"]
    assert np.array_equal(mask == 2, OTHER == 1)
    assert np.array_equal((mask == 1)[6:8, 11:19], SQUARE[6:8, 11:19] == 1)
    assert abs(int((mask == 1).sum()) - int(SQUARE.sum())) <= 15  # the polygon's edge pixels


def test_small_objects_stay_on_large_ones(tmp_path: Path) -> None:
    write_coco(tmp_path, coco_document([(2, plain(SQUARE)), (1, plain(np.ones_like(SQUARE)))]))
    mask = TWO.read(tmp_path)[0].load()["mask"]
    assert np.array_equal(mask, np.where(SQUARE, 2, 1))


def test_volumes_give_planes(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    volume = np.random.default_rng(0).integers(0, 400, (6, 5, 3)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "images/scan.nii.gz")
    nibabel.save(nibabel.Nifti1Image((volume > 200).astype(np.uint8), np.eye(4)), tmp_path / "masks/scan.nii.gz")
    cases = ONE.read(tmp_path)
    assert [case.id for case in cases] == ["scan/0000", "scan/0001", "scan/0002"]
    assert {case.group for case in cases} == {"scan"}
    assert np.array_equal(cases[2].load()["mask"], (volume[:, :, 2].T > 200))


def test_patients_from_names(tmp_path: Path) -> None:
    for name in ("p1_left", "p1_right", "p22_left"):
        save(tmp_path / f"images/{name}.png", IMAGE)
        save(tmp_path / f"masks/{name}.png", SQUARE)
    cases = ONE.model_copy(update={"group_pattern": r"^(p\d+)_"}).read(tmp_path)
    assert [case.group for case in cases] == ["p1", "p1", "p22"]
    with pytest.raises(BadInput, match="does not match the id 'p1_left'"):
        ONE.model_copy(update={"group_pattern": "patient"}).read(tmp_path)


def test_ignored_values_become_background(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", IMAGE)
    save(tmp_path / "masks/a.png", SQUARE + OTHER * np.uint8(9))
    with pytest.raises(BadInput, match="values without a meaning: 9; known are 0 and"):
        ONE.read(tmp_path)[0].load()
    ignoring = ONE.model_copy(update={"ignore_values": (9,)})
    assert np.array_equal(ignoring.read(tmp_path)[0].load()["mask"], SQUARE)


def test_binary_masks_take_the_only_value(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", IMAGE)
    save(tmp_path / "masks/a.png", SQUARE * np.uint8(255))
    case = FreqMedClipData(prompts={5: "a lesion"}).read(tmp_path)[0]
    assert np.array_equal(case.load()["mask"], SQUARE * 5)
    with pytest.raises(BadInput, match="without a meaning: 255"):
        TWO.read(tmp_path)[0].load()


def test_mask_of_another_size(tmp_path: Path) -> None:
    save(tmp_path / "images/a.png", IMAGE)
    save(tmp_path / "masks/a.png", SQUARE[:, :-1])
    with pytest.raises(BadInput, match="the mask is 29 x 20 pixels, its picture 30 x 20") as caught:
        ONE.read(tmp_path)[0].load()
    assert caught.value.where.endswith("masks/a.png")


@pytest.mark.parametrize(("present", "lacks"), [("images", "no mask"), ("masks", "no picture")])
def test_files_without_partner(tmp_path: Path, present: str, lacks: str) -> None:
    for folder in ("images", "masks"):
        save(tmp_path / folder / "a.png", SQUARE)
    save(tmp_path / present / "lonely.png", SQUARE)
    with pytest.raises(BadInput, match=rf"1 file\(s\) have {lacks}") as caught:
        ONE.read(tmp_path)
    assert "lonely.png" in caught.value.where


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (["image", "prompt"], r"lacks the column\(s\) mask"),
        (["image", "mask", "groups"], "unknown or repeated column 'groups'; did you mean 'group'"),
        (["image", "mask", "mask"], "unknown or repeated column 'mask'"),
    ],
)
def test_columns(tmp_path: Path, header: list[str], message: str) -> None:
    write_table(tmp_path, header)
    with pytest.raises(BadInput, match=message):
        ONE.model_copy(update={"layout": "csv"}).read(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["none.png", ""], "'none.png' does not exist"),
        (["../secret.png", ""], "lies outside the raw folder"),
        (["", "a.png"], "row 2 is malformed"),
        (["a.png", "", "more"], "row 2 is malformed"),
    ],
)
def test_rows(tmp_path: Path, row: list[str], message: str) -> None:
    save(tmp_path / "secret.png", IMAGE)
    save(tmp_path / "raw/a.png", IMAGE)
    write_table(tmp_path / "raw", ["image", "mask"], row)
    with pytest.raises(BadInput, match=message):
        ONE.read(tmp_path / "raw")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("images"), "images: Field required"),
        (lambda d: d["annotations"][0].update(image_id=8), "of which one does not exist"),
        (lambda d: d["images"][0].update(file_name="../a.png"), "outside the raw folder"),
        (lambda d: d["images"][0].update(height=10**9), "images.0.height"),
    ],
)
def test_coco_documents_at_fault(tmp_path: Path, change: Any, message: str) -> None:
    document = coco_document([(1, plain(SQUARE))])
    change(document)
    write_coco(tmp_path / "raw", document)
    with pytest.raises(BadInput, match=message):
        TWO.model_copy(update={"layout": "coco"}).read(tmp_path / "raw")


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [20, 31], "counts": [620]}, "its size"),
        ({"size": [20, 30], "counts": [5]}, "run lengths sum"),
        ([[1, 2, 3, 4, 5]], "odd number"),
        ([[1, 2, 3, 4]], "3 or more"),
    ],
)
def test_coco_segmentations_at_fault(tmp_path: Path, segmentation: Any, message: str) -> None:
    write_coco(tmp_path, coco_document([(1, segmentation)]))
    with pytest.raises(BadInput, match=f"annotation 0 cannot be drawn: .*{message}"):
        TWO.read(tmp_path)[0].load()


def test_folders_without_layout(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is empty"):
        ONE.read(tmp_path)
    save(tmp_path / "a.png", IMAGE)
    with pytest.raises(BadInput, match="no layout that is known") as caught:
        ONE.read(tmp_path)
    assert "images/ and masks/" in caught.value.remedy
    with pytest.raises(BadInput, match="must be a folder"):
        ONE.read(tmp_path / "a.png")


def test_a_prompt_column_is_for_one_target(tmp_path: Path) -> None:
    save(tmp_path / "a.png", IMAGE)
    write_table(tmp_path, ["image", "mask", "prompt"], ["a.png", "", "the cyst"])
    with pytest.raises(BadInput, match="ambiguous for a picture with 2 targets"):
        TWO.read(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"prompts": {1: "same", 2: "same"}}, "prompt of its own"),
        ({"prompts": {0: "background"}}, "greater than or equal to 1"),
        ({"prompts": {1: "a"}, "ignore_values": [1]}, "have a prompt and are ignored"),
        ({"captions": {"*": "{class} lesion"}}, "only {stratum} and {prompt}"),
        ({"group_pattern": "("}, "not a regular expression"),
        ({"layuot": "csv"}, "Extra inputs"),
    ],
)
def test_settings_that_mean_nothing(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        FreqMedClipData.model_validate(values)
