"""From voxels to slices: Hounsfield units, the range of the lungs, the choice of slices, windows and proportions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.core.config import validate
from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput
from components.core.volumes.choice import Choice
from components.core.volumes.contact_sheet import SIDE, contact_sheet
from components.core.volumes.extraction import Extraction, extract
from components.core.volumes.hounsfield import Rescaling, choose
from components.core.volumes.lungs import lung_range
from components.core.volumes.open import open_volume
from components.core.volumes.windows import LUNG, MEDIASTINUM, Window, apply_windows
from tests.volumes.volume_files import write_nifti

WHERE = Path("scan.nii.gz")


def chest(depth: int = 40, first: int = 10, last: int = 29, side: int = 64) -> np.ndarray[Any, Any]:
    """HU [z, y, x]: a body of water with two lungs from `first` to `last`, air around."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    body = np.hypot(rows / 0.7, columns) < side * 0.45
    lungs = np.hypot(rows, np.abs(columns) - side * 0.2) < side * 0.13
    volume = np.full((depth, side, side), -1000, np.int16)
    volume[:, body] = 40
    volume[first : last + 1, lungs] = -850
    return volume


def stored(units: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """As NIfTI stores axial slices of the affine `RAS`: x, y, z."""
    return np.ascontiguousarray(units.transpose(2, 1, 0))


CSV = Rescaling(1.0, -1024.0)


def test_second_release_is_told_from_the_first() -> None:
    units = chest()
    assert choose(units, Rescaling(), CSV, "auto", WHERE) == Rescaling()
    assert choose((units + 1024).astype(np.uint16), Rescaling(), CSV, "auto", WHERE) == CSV


def test_padding_outside_of_the_field_of_view_does_not_confuse() -> None:
    units = chest().astype(np.int32)
    units[:, :8] = -3024
    assert choose(units, Rescaling(), CSV, "auto", WHERE) == Rescaling()
    assert choose(units + 1024, Rescaling(), CSV, "auto", WHERE) == CSV


@pytest.mark.parametrize("units", [np.full((4, 8, 8), 40, np.int16), chest() + 512])
def test_what_is_in_doubt_is_refused_with_numbers(units: np.ndarray[Any, Any]) -> None:
    with pytest.raises(Unreadable, match="hu: header") as caught:
        choose(units, Rescaling(), CSV, "auto", WHERE)
    assert f"{units.min()} to {units.max()}" in str(caught.value)
    assert "intercept -1024" in str(caught.value)


def test_policies_other_than_auto_do_as_they_say() -> None:
    units = chest()
    assert choose(units, Rescaling(2.0, 3.0), CSV, "header", WHERE) == Rescaling(2.0, 3.0)
    assert choose(units, Rescaling(), CSV, "metadata", WHERE) == CSV
    with pytest.raises(Unreadable, match="does not name it"):
        choose(units, Rescaling(), None, "metadata", WHERE)
    with pytest.raises(Unreadable, match="slope 0"):
        choose(units, Rescaling(), Rescaling(0.0, 1.0), "auto", WHERE)


def test_units_are_never_applied_twice(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v2.nii.gz", stored(chest()))
    found = extract(open_volume(path), Extraction(), CSV)
    assert (found.hu_min, found.hu_max) == (-1000, 40)
    path = write_nifti(tmp_path / "v1.nii.gz", stored(chest() + 1024))
    again = extract(open_volume(path), Extraction(), CSV)
    assert (again.hu_min, again.hu_max, again.rescaling) == (-1000, 40, CSV)
    np.testing.assert_array_equal(found.slices, again.slices)


def test_the_lungs_are_found_and_outside_air_is_none() -> None:
    assert lung_range(chest()) == (10, 29)
    assert lung_range(chest(first=5, last=4)) is None
    assert lung_range(chest(side=200)[:, ::3, ::3]) == (10, 29)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(count=4), [2, 7, 12, 17]),
        (Choice(how="all"), list(range(20))),
        (Choice(how="every", every=6), [0, 6, 12, 18]),
        (Choice(how="centre", count=4), [4, 9, 10, 15]),
        (Choice(count=1), [10]),
    ],
)
def test_slices_are_chosen(choice: Choice, expected: list[int]) -> None:
    assert choice.indices(0, 19) == expected


def test_uniform_and_centre_are_symmetric_and_complete() -> None:
    for how in ("uniform", "centre"):
        for count in (2, 8, 32):
            places = Choice(how=how, count=count).indices(0, 100)  # type: ignore[arg-type]
            assert len(places) == count and places == sorted(places)
            assert all(0 <= place <= 100 for place in places)
            assert np.allclose(np.add(places, places[::-1]), 100, atol=1)


def test_a_range_of_few_slices_gives_some_twice() -> None:
    assert Choice(count=6).indices(4, 6) == [4, 4, 5, 5, 6, 6]


def test_windows_are_fixed_and_exact() -> None:
    units = np.array([[-2000, -1350, -600, 150, 3000], [-160, 40, 240, 0, 100]], np.int16)
    lung, soft = np.moveaxis(apply_windows(units, (LUNG, MEDIASTINUM)), 2, 0)
    assert lung[0].tolist() == [0, 0, 128, 255, 255]
    assert soft[1].tolist() == [0, 128, 255, 102, 166]


def test_slices_are_what_the_volume_shows(tmp_path: Path) -> None:
    units = chest()
    path = write_nifti(tmp_path / "v.nii.gz", stored(units), np.diag([-1.0, -1.0, 2.5, 1.0]))
    extraction = Extraction(choice=Choice(count=5), size=64, windows=(Window(centre=-480, width=1040),))
    found = extract(open_volume(path), extraction)
    assert found.lungs and found.places == [12, 16, 20, 24, 28]
    expected = apply_windows(units[20], extraction.windows)
    np.testing.assert_array_equal(found.slices[2], expected)
    assert found.shape == (40, 64, 64) and found.spacing_mm == pytest.approx((2.5, 1, 1))


def test_proportions_are_those_of_the_patient(tmp_path: Path) -> None:
    """Rows are twice as far apart as columns: the picture fills the height and half of the width, air beside it."""
    path = write_nifti(tmp_path / "v.nii.gz", np.full((32, 32, 4), 40, np.int16), np.diag([-1.0, -2.0, 2.5, 1.0]))
    found = extract(open_volume(path), Extraction(size=32, choice=Choice(count=1), hu="header"))
    soft = found.slices[0, :, :, 1]
    assert (soft[:, 8:24] == 128).all() and (soft[:, :8] == 0).all() and (soft[:, 24:] == 0).all()


def test_a_spacing_of_its_own_shows_equal_extents(tmp_path: Path) -> None:
    units = np.zeros((10, 40, 40), np.int16) + np.arange(10, dtype=np.int16)[:, None, None] * 100
    path = write_nifti(tmp_path / "v.nii.gz", stored(units), np.diag([-1.0, -1.0, 3.0, 1.0]))
    how = Extraction(
        size=20, spacing_mm=(1.5, 2.0, 2.0), hu="header", choice=Choice(how="all", span="volume"),
        windows=(Window(centre=450, width=900),),
    )  # fmt: skip
    found = extract(open_volume(path), how)
    assert found.places == [i / 2 for i in range(19)]
    grey = found.slices[:, 10, 10, 0].astype(float) * 900 / 255
    np.testing.assert_allclose(grey, np.arange(19) * 50, atol=2)


def test_neighbouring_slices_as_channels(tmp_path: Path) -> None:
    units = np.zeros((6, 16, 16), np.int16) + np.arange(6, dtype=np.int16)[:, None, None] * 100
    path = write_nifti(tmp_path / "v.nii.gz", stored(units), np.diag([-1.0, -1.0, 3.0, 1.0]))
    how = Extraction(
        size=16, neighbours=1, hu="header", choice=Choice(how="all", span="volume"),
        windows=(Window(centre=250, width=500),),
    )  # fmt: skip
    found = extract(open_volume(path), how)
    assert found.slices.shape == (6, 16, 16, 3) and how.channels == 3
    assert found.slices[0, 8, 8].tolist() == [0, 0, 51] and found.slices[3, 8, 8].tolist() == [102, 153, 204]


def test_values_that_contradict_each_other() -> None:
    with pytest.raises(BadInput, match="name one window"):
        validate(Extraction, {"neighbours": 1}, "params")
    with pytest.raises(BadInput, match="above 0"):
        validate(Extraction, {"spacing_mm": [0, 1, 1]}, "params")


def test_nan_voxels_are_refused(tmp_path: Path) -> None:
    units = chest().astype(np.float32)
    units[3, 3, 3] = np.nan
    path = write_nifti(tmp_path / "v.nii.gz", stored(units))
    with pytest.raises(Unreadable, match="NaN"):
        extract(open_volume(path), Extraction())


def test_the_contact_sheet_has_one_row_per_volume() -> None:
    sheet = contact_sheet([("a", np.zeros((3, 32, 32, 3), np.uint8)), ("b", np.full((20, 16, 16, 1), 255, np.uint8))])
    assert sheet.shape[1:] == (8 * SIDE, 3)
    assert sheet[-1].min() == 255 and sheet[sheet.shape[0] // 2 - 1].max() == 0
