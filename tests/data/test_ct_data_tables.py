"""Tables of labels and metadata: read strictly, matched with volumes, and what cannot be learned or judged."""

import math
from pathlib import Path

import numpy as np
import pytest

from components.core.errors import BadInput
from components.recipes.ct_abnormality.labels import LABELS
from tests.data.ct_folders import chest, data, make, write_labels, write_volumes
from tests.volumes.volume_files import write_nifti

NAMES = [f"train_{row}_a_1.nii.gz" for row in range(1, 13)]
COLUMNS = ["VolumeName", "nodule", "effusion"]
ROWS = {name: [row % 2, int(row < 6)] for row, name in enumerate(NAMES)}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_volumes(tmp_path / "raw", NAMES)


def test_labels_of_any_table(raw: Path, tmp_path: Path) -> None:
    write_labels(raw / "labels.csv", ROWS, COLUMNS)
    dataset = make(tmp_path / "made", raw)
    card = dataset.card
    assert card.label_names == {"0": "nodule", "1": "effusion"} and card.warnings == []
    for number, name in enumerate(NAMES):
        assert dataset.array(name.split(".")[0], "labels").tolist() == [number % 2, int(number < 6)]
    for split in ("train", "val", "test"):
        for label in ("nodule", "effusion"):
            count = card.label_counts[label][split]
            assert count.positive and count.negative and not count.unknown, (split, label)
    assert make(tmp_path / "again", raw, data(label_columns=["effusion"])).card.label_names == {"0": "effusion"}


@pytest.mark.parametrize("name", ["train_1_a_1", "train_1_a_1.nii.gz", "deep/train_1_a_1.nii.gz", "deep/train_1_a_1"])
def test_names_that_mean_a_volume(tmp_path: Path, name: str) -> None:
    raw = write_volumes(tmp_path, ["deep/train_1_a_1.nii.gz", "deep/train_2_a_1.nii.gz"])
    write_labels(raw / "labels.csv", {name: [1], "train_2_a_1": [0]}, ["volume", "nodule"])
    assert [dict(case.labels or {}) for case in data().read(raw)] == [{"nodule": 1.0}, {"nodule": 0.0}]


def test_a_name_that_may_mean_two_volumes(tmp_path: Path) -> None:
    raw = write_volumes(tmp_path, ["a/ct.nii.gz", "b/ct.nii.gz"])
    write_labels(raw / "labels.csv", {"ct.nii.gz": [1]}, ["volume", "nodule"])
    with pytest.raises(BadInput, match=r"'ct.nii.gz' may mean 2 volumes: a/ct, b/ct"):
        data().read(raw)
    write_labels(raw / "labels.csv", {"a": [1], "b/ct": [0]}, ["volume", "nodule"])
    assert [case.labels for case in data().read(raw)] == [{"nodule": 1.0}, {"nodule": 0.0}]


def test_the_canonical_order_of_ct_rate_holds_whatever_the_tables(raw: Path) -> None:
    turned = LABELS[::-1]
    rows = {name: [int(label == "Cardiomegaly" and row % 2) for label in turned] for row, name in enumerate(NAMES)}
    half = dict(list(rows.items())[:6]), dict(list(rows.items())[6:])
    write_labels(raw / "multi/train_predicted_labels.csv", half[0], ["VolumeName", *turned])
    write_labels(raw / "multi/valid_predicted_labels.csv", half[1], ["VolumeName", *turned])
    write_labels(raw / "reports.csv", {name: ["Heart is large."] for name in NAMES}, ["VolumeName", "Findings_EN"])
    cases = data().read(raw)
    assert all(tuple(case.labels or {}) == LABELS for case in cases)
    assert sum(case.labels["Cardiomegaly"] for case in cases if case.labels) == 6


def test_a_misspelt_or_missing_label(raw: Path) -> None:
    columns = ["VolumeName", *LABELS]
    rows = {name: [row % 2] * 18 for row, name in enumerate(NAMES)}
    columns[3] = "Cardiomegalie"
    write_labels(raw / "labels.csv", rows, columns)
    with pytest.raises(BadInput, match="lacks the column 'Cardiomegaly'; did you mean 'Cardiomegalie'"):
        data().read(raw)
    write_labels(raw / "labels.csv", ROWS, COLUMNS)
    with pytest.raises(BadInput, match="lacks the column 'nodules'; did you mean 'nodule'"):
        data(label_columns=["nodules", "effusion"]).read(raw)
    write_labels(raw / "labels.csv", {name: [*[row % 2] * 18, 7] for row, name in enumerate(NAMES)}, [*columns, "Age"])
    with pytest.raises(BadInput, match="lacks the column 'Cardiomegaly'"):
        data().read(raw)


def test_unknown_volumes_and_volumes_without_labels(raw: Path) -> None:
    wrong = {**ROWS, "train_l_a_1.nii.gz": [0, 1]}
    wrong.pop("train_1_a_1.nii.gz")
    write_labels(raw / "labels.csv", wrong, COLUMNS)
    with pytest.raises(BadInput, match=r"unknown volume\(s\), 'train_l_a_1.nii.gz' \(did you mean 'train_1_a_1'"):
        data().read(raw)
    wrong.pop("train_l_a_1.nii.gz")
    write_labels(raw / "labels.csv", wrong, COLUMNS)
    with pytest.raises(BadInput, match=r"1 volume\(s\) have no labels: 'train_1_a_1'"):
        data().read(raw)


def test_volumes_without_labels_may_be_kept_for_pretrain(raw: Path, tmp_path: Path) -> None:
    rows: dict[str, list[object]] = {name: list(cells) for name, cells in ROWS.items()}
    rows.pop(NAMES[0])
    rows[NAMES[1]] = ["", ""]
    rows[NAMES[2]] = [1, ""]
    write_labels(raw / "labels.csv", rows, COLUMNS)
    dataset = make(tmp_path / "made", raw, data(unlabelled="keep"))
    assert [row.id for row in dataset.rows("unlabelled")] == ["train_1_a_1", "train_2_a_1"]
    assert np.isnan(dataset.array("train_1_a_1", "labels")).all()
    labels = dataset.array("train_3_a_1", "labels")
    assert labels[0] == 1 and math.isnan(labels[1])
    counts = dataset.card.label_counts["effusion"].values()
    assert sum(count.unknown for count in counts) == 1 and sum(count.positive for count in counts) == 3


def test_a_row_without_its_volume_is_quarantined_never_zeros(raw: Path, tmp_path: Path) -> None:
    write_labels(raw / "labels.csv", {**ROWS, "train_99_a_1.nii.gz": [1, 1]}, COLUMNS)
    with pytest.raises(BadInput, match=r"1 of 13 cases(.|\n)*train_99_a_1.nii.gz: does not exist"):
        make(tmp_path / "made", raw)
    card = make(tmp_path / "made", raw, max_fraction=0.1).card
    assert [entry.id for entry in card.quarantine] == ["train_99_a_1"] and len(card.volumes) == 12
    assert sum(count.positive for count in card.label_counts["nodule"].values()) == 6
    card = make(tmp_path / "part", raw, data(missing="leave_out")).card
    assert not card.quarantine and len(card.volumes) == 12


def test_a_volume_named_twice(raw: Path) -> None:
    write_labels(raw / "labels.csv", {**ROWS, "train_1_a_1": [0, 1]}, COLUMNS)
    with pytest.raises(BadInput, match="'train_1_a_1' is named twice") as caught:
        data().read(raw)
    assert "labels.csv:2" in caught.value.where and "labels.csv:14" in caught.value.where
    write_labels(raw / "labels.csv", {**ROWS, "train_77_a_1": [0, 1], "train_77_a_1.nii.gz": [0, 1]}, COLUMNS)
    with pytest.raises(BadInput, match="train_77_a_1"):
        data().read(raw)
    write_labels(raw / "labels.csv", ROWS, COLUMNS)
    write_labels(raw / "more.csv", dict(list(ROWS.items())[:1]), COLUMNS)
    with pytest.raises(BadInput, match="'train_1_a_1' is named twice"):
        data().read(raw)


def test_tables_that_cannot_be_read(raw: Path) -> None:
    table = raw / "labels.csv"
    for text, match in {
        "VolumeName,a,a\ntrain_1_a_1,0,1\n": "column 'a' is repeated",
        "VolumeName,a\ntrain_1_a_1,0,1\n": "3 cells under 2 columns",
        "VolumeName,a\n,0\n": "names no volume",
        "VolumeNam,a\ntrain_1_a_1,0\n": "none of 1 CSV",
        "VolumeName,a\ntrain_1_a_1,2\n": "none of 1 CSV",
        'VolumeName,a\n"train_1_a_1,0\n': "not a valid CSV",
    }.items():
        table.write_text(text)
        with pytest.raises(BadInput, match=match):
            data().read(raw)
    table.write_text("VolumeName,a\ntrain_1_a_1,2\n")
    with pytest.raises(BadInput, match="the label 'a' is '2'") as caught:
        data(labels="labels.csv").read(raw)
    assert "labels.csv:2" in caught.value.where
    table.write_text("VolumeNam,a\ntrain_1_a_1,0\n")
    with pytest.raises(BadInput, match="did you mean 'VolumeNam'"):
        data(labels="labels.csv").read(raw)
    assert len(data(labels="none").read(raw)) == 12
    with pytest.raises(BadInput, match=r"data.labels 'other/\*.csv' matches no file"):
        data(labels="other/*.csv").read(raw)


def test_the_column_group_goes_first(raw: Path) -> None:
    rows = {name: [row % 2, f"p{row // 4}" if row < 8 else ""] for row, name in enumerate(NAMES)}
    write_labels(raw / "labels.csv", rows, ["VolumeName", "nodule", "group"])
    groups = [case.group for case in sorted(data().read(raw), key=lambda case: int(case.id.split("_")[1]))]
    assert groups == ["p0"] * 4 + ["p1"] * 4 + ["train_9", "train_10", "train_11", "train_12"]


def test_labels_that_teach_nothing(raw: Path, tmp_path: Path) -> None:
    write_labels(raw / "labels.csv", {name: [1, 0] for name in NAMES}, COLUMNS)
    with pytest.raises(BadInput, match="no label differs between volumes: all have no effusion, nodule"):
        data().read(raw)
    write_labels(raw / "labels.csv", {name: [row % 2, 0] for row, name in enumerate(NAMES)}, COLUMNS)
    warnings = make(tmp_path / "made", raw).card.warnings
    assert len(warnings) == 3 and any(
        "train shows one side only of 1 label(s), cannot be learned" in t for t in warnings
    )
    assert any("test" in t and "effusion (negative only)" in t and "undefined" in t for t in warnings)


def test_a_rare_label_goes_to_train_and_the_card_says_where_it_is_undefined(raw: Path, tmp_path: Path) -> None:
    write_labels(raw / "labels.csv", {name: [row % 2, int(row == 3)] for row, name in enumerate(NAMES)}, COLUMNS)
    card = make(tmp_path / "made", raw).card
    assert card.label_counts["effusion"]["train"].positive == 1
    assert sorted(told.split()[0] for told in card.warnings) == ["test", "val"]


def metadata(raw: Path, names: list[str], intercept: float = -1024, slope: float = 1) -> None:
    write_labels(
        raw / "metadata.csv",
        {name: [slope, intercept, "[0.5, 0.75]", "3.0"] for name in names},
        ["VolumeName", "RescaleSlope", "RescaleIntercept", "XYSpacing", "ZSpacing"],
    )


def test_stored_values_need_the_metadata_table(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for row, name in enumerate(NAMES[:3]):
        write_nifti(raw / name, chest(row) + 1024, np.diag([-1, -1, 1, 1]))
    with pytest.raises(BadInput, match="no air: stored values without their metadata table"):
        make(tmp_path / "made", raw)
    metadata(raw, NAMES[:2])
    card = make(tmp_path / "made", raw, max_fraction=0.4).card
    assert [entry.id for entry in card.quarantine] == ["train_3_a_1"]
    assert all(volume.spacing_mm == (3.0, 0.75, 0.5) and volume.hu_min < -900 for volume in card.volumes)
    assert all(volume.rescaling == "slope 1, intercept -1024" for volume in card.volumes)


def test_hounsfield_units_are_not_rescaled_again(raw: Path, tmp_path: Path) -> None:
    plain = make(tmp_path / "plain", raw)
    metadata(raw, NAMES)
    known = make(tmp_path / "known", raw)
    assert known.card.shards == plain.card.shards and known.card.volumes == plain.card.volumes
    forced = {"extraction": {"size": 16, "choice": {"count": 4}, "hu": "metadata"}}
    assert make(tmp_path / "forced", raw, data(**forced)).card.volumes[0].hu_max < 0


def test_metadata_in_doubt_or_wrong(raw: Path) -> None:
    metadata(raw, NAMES, slope=0)
    case = data().read(raw)[0]
    with pytest.raises(BadInput, match="its metadata table gives slope 0"):
        case.load()
    metadata(raw, NAMES, intercept=10)
    with pytest.raises(BadInput, match="hu: header"):
        data().read(raw)[0].load()
    (raw / "metadata.csv").write_text("VolumeName,RescaleSlope,RescaleIntercept\ntrain_1_a_1,x,0\n")
    with pytest.raises(BadInput, match="'RescaleSlope' holds 'x'"):
        data().read(raw)
    (raw / "metadata.csv").write_text(
        "VolumeName,RescaleSlope,RescaleIntercept,XYSpacing,ZSpacing\ntrain_1_a_1,1,0,0.5,1\n"
    )
    with pytest.raises(BadInput, match="are no spacing"):
        data().read(raw)


def test_what_decoding_depends_on_is_in_the_key(raw: Path) -> None:
    before = {case.id: case.resume_key for case in data().read(raw)}
    metadata(raw, NAMES[:1])
    after = {case.id: case.resume_key for case in data().read(raw)}
    assert [name for name in before if before[name] != after[name]] == ["train_1_a_1"]
    assert None not in before.values()
