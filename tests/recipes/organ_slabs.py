"""Labelled volumes of real patients: slabs of TotalSegmentator's sample scans, and which organs its masks show in each.

The masks are the tool's own answers. Three patients are no study: this shows that real volumes train, not how well.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import SimpleITK

ORGANS = {"spleen": 1, "kidney_left": 3, "liver": 5, "colon": 20, "vertebrae_T12": 32, "aorta": 52}
"""Numbers of TotalSegmentator's classes."""

SINGLE = ("vertebrae_T12", "aorta")
"""Organs that the cropped chest has a mask of; nothing is known of the others there."""


def write(source: Path, folder: Path) -> Path:
    """Write slabs as .nii.gz and `labels.csv` with the patient as group.

    Args:
        source: `totalseg_ct` of the sample data.
        folder: To be made.
    """
    folder.mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["volume", "group", *ORGANS])
        for patient, scan, organs, thick in _scans(source):
            for first in range(0, scan.GetSize()[2] - thick + 1, thick):
                name = f"{patient}_{first:03d}"
                SimpleITK.WriteImage(scan[:, :, first : first + thick], str(folder / f"{name}.nii.gz"))
                table.writerow([name, patient, *(_shown(organs.get(one), first, thick) for one in ORGANS)])
    return folder


def _scans(source: Path) -> Iterator[tuple[str, SimpleITK.Image, dict[str, SimpleITK.Image], int]]:
    """Patient, scan, masks by organ, and slices of a slab."""
    series = SimpleITK.ImageSeriesReader()
    series.SetFileNames(series.GetGDCMSeriesFileNames(str(source / "dicom_series")))
    dicom = _straight(series.Execute())
    yield "dicom", dicom, _parted(source / "dicom_series_seg" / "example_seg_dicom.nii.gz"), 5
    abdomen = source / "abdomen_example"
    masks = _parted(abdomen / "example_seg_fast_force_split.nii.gz")
    yield "abdomen", _straight(SimpleITK.ReadImage(str(abdomen / "example_ct.nii.gz"))), masks, 10
    chest = source / "chest_crop_aorta"
    single = {organ: _straight(SimpleITK.ReadImage(str(chest / f"{organ}.nii.gz"))) for organ in SINGLE}
    yield "chest", _straight(SimpleITK.ReadImage(str(chest / "ct_cropped.nii.gz"))), single, 10


def _parted(path: Path) -> dict[str, SimpleITK.Image]:
    whole = _straight(SimpleITK.ReadImage(str(path)))
    return {organ: whole == number for organ, number in ORGANS.items()}


def _straight(image: SimpleITK.Image) -> SimpleITK.Image:
    return SimpleITK.DICOMOrient(image, "LPS")


def _shown(mask: SimpleITK.Image | None, first: int, thick: int) -> str:
    """1, 0, or nothing where there is no mask."""
    if mask is None:
        return ""
    return str(int(SimpleITK.GetArrayViewFromImage(mask)[first : first + thick].any()))
