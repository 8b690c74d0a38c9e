"""Volumes of a raw folder: which there are, whose they are, what the card tells of them, what is set aside."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.data.card import EVERY_LABEL
from components.core.data.describe import ONLY_UNLABELLED
from components.core.data.splits import Ratios, Split
from components.core.digest import digest_path
from components.core.errors import BadInput
from components.recipes.ct_abnormality.labels import LABELS
from components.recipes.ct_abnormality.naming import parse_name
from tests.data.ct_folders import chest, data, make, write_labels, write_volumes
from tests.volumes.volume_files import write_mha, write_nifti, write_series

NAMES = [f"v{row}.nii.gz" for row in range(8)]


def test_without_labels_slices_are_cut_for_pretrain(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", NAMES)
    dataset = make(tmp_path / "made", raw)
    card = dataset.card
    assert card.counts == {"unlabelled": {"": 8}} and ONLY_UNLABELLED in card.warnings and card.label_names == {}
    assert any("8 volume(s) are taken for a patient each" in told for told in card.warnings)
    first = card.volumes[0]
    assert (first.id, first.shape, first.slices) == ("v0", (12, 32, 32), 4) and len(first.places) == 4 and first.lungs
    assert first.spacing_mm == pytest.approx((2.5, 2.0, 1.5)) and first.sha256 == digest_path(raw / "v0.nii.gz")
    assert (first.hu_min, first.hu_max) == (float(chest(0).min()), float(chest(0).max()))
    slices = dataset.array("v0", "slices")
    assert slices.shape == (4, 16, 16, 3) and slices.dtype == np.uint8 and len(np.unique(slices)) > 50
    row = dataset.row("v0").attributes
    assert (row["depth"], row["slices"], row["hu_min"], row["spacing_z_mm"]) == (12, 4, first.hu_min, 2.5)
    assert dataset.names("v0") == ["slices"]


def test_the_sheet_is_no_part_of_the_data(tmp_path: Path) -> None:
    dataset = make(tmp_path / "made", write_volumes(tmp_path / "raw", NAMES))
    sheet = tmp_path / "made/contact_sheet.png"
    picture = np.array(Image.open(sheet))
    assert picture.shape[0] == 8 * 110 and picture.std() > 20
    sheet.unlink()
    assert make(tmp_path / "again", tmp_path / "raw").digest == dataset.digest
    assert type(dataset).open(tmp_path / "made").digest == dataset.digest


def test_every_form_of_volume(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", ["a/one.nii", "a/two.nii.gz"])
    write_mha(raw / "b.mha", chest(2).transpose(2, 1, 0))
    write_series(raw / "c/series", chest(3).transpose(2, 1, 0) + 1024)
    card = make(tmp_path / "made", raw).card
    assert [volume.id for volume in card.volumes] == ["a/one", "a/two", "b", "c/series"]
    assert card.sources.files == 3 + 12
    assert all(volume.hu_min < -900 for volume in card.volumes)


def test_phantoms_of_both_releases_give_the_same_slices(tmp_path: Path) -> None:
    ratios = Ratios(train=0.55, val=0.15, test=0.15, calibration=0.15)
    made = []
    for form in ("v1", "v2"):
        source = data(synthetic={"volumes": 20, "size": 32, "slices": 16, "form": form})
        made.append(make(tmp_path / form, None, source, split=Split(ratios=ratios)))  # type: ignore[arg-type]
    one, two = (dataset.card for dataset in made)
    assert [shard.sha256 for shard in one.shards] == [shard.sha256 for shard in two.shards]
    assert [volume.spacing_mm for volume in one.volumes] == [
        pytest.approx(volume.spacing_mm, rel=1e-4) for volume in two.volumes
    ]
    assert {volume.rescaling for volume in one.volumes} == {"slope 1, intercept -1024"}
    assert {volume.rescaling for volume in two.volumes} == {"slope 1, intercept 0"}
    assert one.synthetic and list(one.label_names.values()) == list(LABELS) and one.divided_by == EVERY_LABEL
    assert list(one.counts) == ["train", "val", "test", "calibration"]
    groups = [{row.group for row in made[0].rows(split)} for split in one.counts]
    assert sum(map(len, groups)) == len(set().union(*groups)) < 20
    for row in made[0].rows("train"):
        labels = made[0].array(row.id, "labels")
        assert labels.dtype == np.float32 and labels.shape == (18,)
        assert str(row.attributes["scan"]).startswith(f"{row.group}_") and row.attributes["grouped_by"] == "name"


def test_names_of_ct_rate() -> None:
    name = parse_name("valid_12_b_3")
    assert name is not None and (name.patient, name.scan) == ("valid_12", "valid_12_b")
    assert all(parse_name(other) is None for other in ("train_1_a", "scan_1_a_1", "train_1_a_1_mask", "train_x_a_1"))


def test_masks_beside_volumes_are_left_out_and_listed(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", [f"s{row}/ct.nii.gz" for row in range(4)])
    write_nifti(raw / "s0/lung.nii.gz", (chest() < -500).astype(np.uint8))
    write_nifti(raw / "s1/aorta.nii.gz", (chest() > 0).astype(np.float32))
    card = make(tmp_path / "made", raw).card
    assert [volume.id for volume in card.volumes] == [f"s{row}/ct" for row in range(4)] and not card.quarantine
    assert [(entry.file, "mask" in entry.reason) for entry in card.left_out] == [
        ("s0/lung.nii.gz", True), ("s1/aorta.nii.gz", True),
    ]  # fmt: skip
    assert any("2 file(s) left out" in told for told in card.warnings)
    assert not make(tmp_path / "included", raw, data(include=["*/ct.nii.gz"])).card.left_out
    assert not make(tmp_path / "excluded", raw, data(exclude=["*/lung*", "*/aorta.*"])).card.left_out


def test_a_folder_of_masks_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    write_nifti(tmp_path / "raw/a.nii.gz", (chest() > 0).astype(np.uint8))
    with pytest.raises(BadInput, match="none of 1 files is a case: holds 0 to 1"):
        make(tmp_path / "made", tmp_path / "raw")


def test_patterns_that_match_nothing(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", NAMES[:2])
    with pytest.raises(BadInput, match=r"data.include 'ct_\*' matches none of 2") as caught:
        data(include=["ct_*"]).read(raw)
    assert "v0.nii.gz" in caught.value.where
    with pytest.raises(BadInput, match="2 were left out"):
        data(exclude=["*"]).read(raw)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no volumes were found"):
        data().read(tmp_path / "empty")
    with pytest.raises(BadInput, match="must be a folder"):
        data().read(raw / "v0.nii.gz")


def test_one_id_twice(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", ["a.nii.gz", "a.nii"])
    with pytest.raises(BadInput, match="two volumes have the id 'a'") as caught:
        data().read(raw)
    assert "a.nii.gz" in caught.value.where
    raw = write_volumes(tmp_path / "ct_rate", ["x/train_1_a_1.nii.gz", "y/train_1_a_1.nii.gz"])
    with pytest.raises(BadInput, match="train_1_a_1"):
        data().read(raw)


def groups_of(raw: Path, **values: object) -> dict[str, str | None]:
    return {case.id: case.group for case in data(**values).read(raw)}


def test_patients_by_name_folder_pattern_or_nothing(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "named", ["t/train_1_a_1.nii.gz", "t/train_1_b_1.nii.gz", "v/valid_1_a_1.nii.gz"])
    assert list(groups_of(raw).values()) == ["train_1", "train_1", "valid_1"]
    raw = write_volumes(tmp_path / "folders", ["p1/a.nii", "p1/b.nii", "p2/a.nii", "p3/x/a.nii"])
    assert list(groups_of(raw).values()) == ["folder p1", "folder p1", "folder p2", "folder p3"]
    assert list(groups_of(raw, group_pattern=r"(\w)$").values()) == ["a", "b", "a", "a"]
    raw = write_volumes(tmp_path / "parted", ["train/a.nii", "train/b.nii", "val/c.nii"])
    assert list(groups_of(raw).values()) == ["train/a", "train/b", "val/c"]
    with pytest.raises(BadInput, match="does not match the id 'train/a'"):
        groups_of(raw, group_pattern=r"(\d)")


def test_the_patient_of_a_dicom_series_is_not_spelled(tmp_path: Path) -> None:
    import pydicom

    uid = "1.2.826.0.1.3680043.8.498.1"
    for number, patient in enumerate(["Doe^John", "Doe^John", "Other"]):
        folder = write_series(tmp_path / f"raw/s{number}/{uid}{number}", chest(number).transpose(2, 1, 0) + 1024)
        for file in folder.iterdir():
            header = pydicom.dcmread(file)
            header.PatientID = patient
            header.save_as(file)
    found = groups_of(tmp_path / "raw")
    first, second, other = found.values()
    assert first == second != other and "Doe" not in str(found)
    assert [name.split("/")[0] for name in found] == ["s0", "s1", "s2"] and uid not in str(found)


def test_reconstructions_of_one_scan_stay_together(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", ["train_1_a_1.nii.gz", "train_1_a_2.nii.gz", "train_2_a_1.nii.gz"])
    with pytest.raises(BadInput, match="'train_1_a_1' and 'train_1_a_2' are reconstructions of one scan"):
        data(group_pattern=r"\d$").read(raw)
    rows = {"train_1_a_1": [1, "p"], "train_1_a_2": [1, "q"], "train_2_a_1": [0, "p"]}
    write_labels(raw / "labels.csv", rows, ["id", "nodule", "group"])
    with pytest.raises(BadInput, match="'p' and 'q'"):
        data().read(raw)


def test_unreadable_volumes_are_quarantined_with_reasons(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", NAMES)
    whole = (raw / "v0.nii.gz").read_bytes()
    (raw / "v0.nii.gz").write_bytes(whole[: len(whole) // 2])
    write_series(raw / "w", chest().transpose(2, 1, 0) + 1024)
    sorted((raw / "w").iterdir())[5].unlink()
    with pytest.raises(BadInput, match=r"2 of 9 cases cannot be read(.|\n)*v0.nii.gz: is truncated(.|\n)*w: misses a"):
        make(tmp_path / "made", raw)
    card = make(tmp_path / "made", raw, max_fraction=0.3).card
    assert [(entry.id, entry.file) for entry in card.quarantine] == [("v0", "v0.nii.gz"), ("w", "w")]
    assert [volume.id for volume in card.volumes] == [f"v{row}" for row in range(1, 8)]


def test_two_studies_in_one_folder(tmp_path: Path) -> None:
    for series in ("1.2.3.4.5", "1.2.3.4.6"):
        write_series(tmp_path / "raw/both", chest().transpose(2, 1, 0) + 1024, series=series)
    with pytest.raises(BadInput, match=r"2 series of 2 studies(.|\n)*1.2.3.4.5(.|\n)*1.2.3.4.6"):
        make(tmp_path / "made", tmp_path / "raw", max_fraction=0.9)


def test_threads_change_nothing(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", NAMES)
    (one, three) = (make(tmp_path / f"w{workers}", raw, workers=workers) for workers in (0, 3))
    assert one.digest == three.digest and one.card == three.card


def test_neighbours_and_windows(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path / "raw", NAMES[:2])
    cut = {"size": 16, "choice": {"count": 4}, "neighbours": 1, "windows": [{"centre": -600, "width": 1500}]}
    dataset = make(tmp_path / "made", raw, data(extraction=cut))
    assert dataset.array("v0", "slices").shape == (4, 16, 16, 3)
    assert dataset.card.settings["data"]["extraction"]["neighbours"] == 1
