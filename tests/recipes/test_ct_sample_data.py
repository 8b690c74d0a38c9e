"""ct_abnormality on real scans: DICOM, NIfTI, JPEG 2000 are cut into slices; labels of organs train end to end."""

import json
import os
from pathlib import Path

import numpy as np
import organ_slabs
import pytest

from components.core.data.card import read_card
from components.core.data.dataset import Dataset
from components.core.data.label_names import names_of
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.open import find_volumes, open_volume
from pipelines.cli import main

SAMPLES = Path(os.environ.get("THAW_SAMPLE_DATA", ""))
pytestmark = pytest.mark.skipif(not os.environ.get("THAW_SAMPLE_DATA"), reason="THAW_SAMPLE_DATA names no sample data")

FOLDERS = {"elastix_lung_ct": 2, "lidc_ct_dicom": 3, "totalseg_ct": 5}
"""Scans in each; masks beside them are none."""

AIR, BONE = -1000.0, 700.0


@pytest.mark.parametrize("name", FOLDERS)
def test_scans_without_labels_are_cut_for_pretrain(name: str, tmp_path: Path) -> None:
    out = tmp_path / "dataset"
    arguments = ["--size", "demo", "--data", str(SAMPLES / name), "--out", str(out)]
    assert main(["prepare", "ct_abnormality", *arguments]) == 0
    card = read_card(out)
    assert len(card.volumes) == FOLDERS[name] and not card.quarantine
    assert card.counts.keys() == {"unlabelled"} and (out / "contact_sheet.png").is_file()
    dataset = Dataset.open(out)
    for volume in card.volumes:
        assert min(volume.shape) > 10 and min(volume.spacing_mm) > 0.5
        assert volume.hu_min < AIR + 50 and volume.hu_max > BONE
        slices = dataset.array(volume.id, "slices")
        assert len(slices) == volume.slices == len(volume.places)
        lung, soft, bone = (np.asarray(slices[..., channel]).mean() for channel in range(3))
        assert all(5 < level < 250 for level in (lung, soft, bone)), "a window shows something"


@pytest.mark.parametrize("name", FOLDERS)
def test_air_and_bone_are_where_they_must_be(name: str) -> None:
    for path in find_volumes(SAMPLES / name):
        volume = open_volume(path, VolumeLimits())
        header, stored = volume.header, volume.voxels()
        if stored.min() >= 0:
            continue  # a mask
        units = stored.astype(np.float64) * header.slope + header.intercept
        levels, counts = np.unique(np.round(units[(units > -1250) & (units < -700)] / 10) * 10, return_counts=True)
        commonest = levels[counts.argmax()]
        assert -1060 <= commonest <= -780, f"{path.name}: air or lung at {commonest:g}"
        soft = units[(units > -150) & (units < 150)]
        assert -110 < np.median(soft) < 90, f"{path.name}: soft tissue at {np.median(soft):g}"
        assert (units > BONE).mean() < 0.05 and (units > 200).mean() > 1e-3, f"{path.name}: bone"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_organs_of_real_patients_train_and_are_judged_end_to_end(tmp_path: Path) -> None:
    data = organ_slabs.write(SAMPLES / "totalseg_ct", tmp_path / "slabs")
    out = tmp_path / "run"
    values = ["--set", "split.ratios={train: 0.4, val: 0.3, test: 0.3}", "--set", "runtime.progress=false"]
    assert main(["run", "ct_abnormality", "--size", "tiny", "--data", str(data), "--out", str(out), *values]) == 0
    card = read_card(out / "prepare" / "dataset")
    assert names_of(card) == list(organ_slabs.ORGANS) and not card.synthetic
    assert sum(len(split) > 0 for split in card.counts.values()) == 3
    shipped = json.loads((out / "evaluate" / "metrics.json").read_text())["systems"]["end_to_end"]
    defined = [name for name in organ_slabs.ORGANS if shipped[f"auroc:{name}"]["mean"] is not None]
    assert defined, "no organ is there in one slab and absent in another"
    assert 0 <= shipped["auroc_macro"]["mean"] <= 1
    told = json.loads((out / "export" / "bundle" / "metadata.json").read_text())
    assert set(told["pred_classes"].values()) == set(organ_slabs.ORGANS)
