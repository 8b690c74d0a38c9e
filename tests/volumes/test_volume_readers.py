"""Readers of volumes against nibabel, SimpleITK and pydicom; and what they say of files that lie or are damaged."""

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.uid import JPEG2000Lossless, RLELossless

from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput
from components.core.volumes.affine import RAS_TO_LPS, axes, canonical, canonical_spacing
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.open import find_volumes, open_volume
from tests.volumes.volume_files import RAS, random_voxels, write_mha, write_nifti, write_series


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "float32", "float64", "uint16"])
@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_nifti_as_nibabel_reads_it(tmp_path: Path, dtype: str, name: str, kind: type) -> None:
    voxels = random_voxels(dtype=dtype)
    path = write_nifti(tmp_path / name, voxels, kind=kind)
    file = open_volume(path)
    np.testing.assert_array_equal(file.voxels(), voxels)
    np.testing.assert_allclose(file.header.affine, RAS_TO_LPS @ RAS, atol=1e-5)
    assert file.header.spacing_zyx == pytest.approx((2.5, 2.0, 1.5), rel=1e-6)
    assert file.header.shape_zyx == (7, 11, 9)


def test_nifti_of_the_other_byte_order(tmp_path: Path) -> None:
    voxels = random_voxels()
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nibabel.save(nibabel.Nifti1Image(voxels, RAS, header), tmp_path / "big.nii.gz")
    np.testing.assert_array_equal(open_volume(tmp_path / "big.nii.gz").voxels(), voxels)


def test_rescaling_of_the_header(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(random_voxels(), RAS)
    image.header.set_slope_inter(2.0, -1024.0)
    path = tmp_path / "scaled.nii.gz"
    nibabel.save(image, path)
    file = open_volume(path)
    found = file.voxels().astype(np.float64) * file.header.slope + file.header.intercept
    np.testing.assert_allclose(found, np.asarray(nibabel.load(path).dataobj))


@settings(max_examples=40, deadline=None)
@given(
    quaternion=st.tuples(*[st.floats(-0.57, 0.57)] * 3),
    sides=st.tuples(*[st.floats(0.3, 5.0)] * 3),
    handed=st.sampled_from([-1.0, 1.0]),
)
def test_qform_as_nibabel_understands_it(
    tmp_path_factory: pytest.TempPathFactory,
    quaternion: tuple[float, ...],
    sides: tuple[float, ...],
    handed: float,
) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 3, 4), np.int16), None)
    header = image.header
    header["qform_code"], header["sform_code"] = 1, 0
    header["quatern_b"], header["quatern_c"], header["quatern_d"] = quaternion
    header["pixdim"][:4] = [handed, *sides]
    path = tmp_path_factory.mktemp("q") / "q.nii"
    path.write_bytes(header.binaryblock + b"\0" * 4 + np.zeros(24, np.int16).tobytes())
    data = bytearray(path.read_bytes())
    data[108:112] = struct.pack("<f", 352.0)
    data[344:348] = b"n+1\0"
    path.write_bytes(bytes(data))
    np.testing.assert_allclose(
        open_volume(path).header.affine, RAS_TO_LPS @ nibabel.load(path).affine, atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("codes", ["RAS", "LPS", "RPI", "ASL", "SPR", "IAL"])
def test_the_canonical_view_is_the_same_however_it_is_stored(tmp_path: Path, codes: str) -> None:
    reference = nibabel.Nifti1Image(random_voxels(), RAS)
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(reference.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    path = tmp_path / "turned.nii.gz"
    nibabel.save(reference.as_reoriented(turn), path)
    file = open_volume(path)
    expected = canonical(random_voxels(), RAS_TO_LPS @ RAS)
    np.testing.assert_array_equal(canonical(file.voxels(), file.header.affine), expected)
    assert canonical_spacing(file.header.affine) == pytest.approx((2.5, 2.0, 1.5), rel=1e-6)


def test_oblique_volumes_take_the_nearest_axes() -> None:
    angle = np.deg2rad(30)
    affine = np.eye(4)
    affine[:3, :3] = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, -1]]
    assert axes(affine) == ((2, 1, 0), (True, False, False))


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["v.mha", "v.mhd"])
def test_metaimage_as_simpleitk_writes_it(tmp_path: Path, compressed: bool, name: str) -> None:
    voxels = random_voxels()
    file = open_volume(write_mha(tmp_path / name, voxels, compressed=compressed))
    np.testing.assert_array_equal(file.voxels().transpose(2, 1, 0), voxels)
    assert file.header.spacing_zyx == pytest.approx((2.5, 0.8, 0.7))
    np.testing.assert_allclose(file.header.affine[:3, 3], (-10.0, 5.0, 100.0))
    np.testing.assert_array_equal(canonical(file.voxels(), file.header.affine), voxels[:, ::-1])


def test_dicom_as_simpleitk_reads_it(tmp_path: Path) -> None:
    stored = random_voxels((6, 8, 10), "uint16")
    file = open_volume(write_series(tmp_path / "series", stored))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "series")))
    image = reader.Execute()
    np.testing.assert_array_equal(file.voxels().transpose(2, 1, 0), SimpleITK.GetArrayFromImage(image))
    np.testing.assert_array_equal(canonical(file.voxels(), file.header.affine), stored.astype(np.int32) - 1024)
    assert file.header.spacing_zyx == pytest.approx(image.GetSpacing()[::-1])


def test_each_slice_has_its_own_rescaling(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", random_voxels((3, 8, 8), "uint16"))
    first = sorted(folder.iterdir())[0]
    data = pydicom.dcmread(first)
    data.RescaleSlope, data.RescaleIntercept = 0.5, -1000.25
    data.save_as(first)
    file = open_volume(folder)
    expected = data.pixel_array * 0.5 - 1000.25
    np.testing.assert_allclose(canonical(file.voxels(), file.header.affine)[0], expected)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_transfer_syntaxes(tmp_path: Path, syntax: str) -> None:
    stored = random_voxels((3, 64, 64), "uint16")
    folder = write_series(tmp_path / "series", stored)
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        data.compress(syntax, encoding_plugin="pylibjpeg" if syntax == JPEG2000Lossless else "pydicom")
        data.save_as(path)
    file = open_volume(folder)
    np.testing.assert_array_equal(canonical(file.voxels(), file.header.affine), stored.astype(np.int32) - 1024)


@pytest.mark.parametrize("name", ["MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm", "MR_small_RLE.dcm"])
def test_slices_that_others_compressed(tmp_path: Path, name: str) -> None:
    """pydicom's own samples, as two slices of a series."""
    plain = pydicom.dcmread(get_testdata_file("MR_small.dcm", download=False)).pixel_array
    for index in range(2):
        data = pydicom.dcmread(get_testdata_file(name, download=False))
        data.ImagePositionPatient = [0, 0, index]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.save_as(tmp_path / f"{index}.dcm")
    file = open_volume(tmp_path)
    np.testing.assert_array_equal(canonical(file.voxels(), file.header.affine), np.stack([plain, plain]))


def _truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-6] ^= 1  # of the checksum
    path.write_bytes(bytes(data))


def _bomb(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"\0" * (1 << 22)))


def _short(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-4]))


@pytest.mark.parametrize(
    ("harm", "said"),
    [(_truncated, "truncated"), (_flipped, "damaged"), (_bomb, "more than"), (_short, "truncated")],
)
def test_a_damaged_or_lying_nifti(tmp_path: Path, harm: object, said: str) -> None:
    path = write_nifti(tmp_path / "v.nii.gz", random_voxels())
    harm(path)  # type: ignore[operator]
    with pytest.raises(Unreadable, match=said) as caught:
        open_volume(path).voxels()
    assert str(path) in str(caught.value)


def test_several_gzip_members_are_one_stream(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v.nii.gz", random_voxels())
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(b"".join(gzip.compress(whole[i : i + 500]) for i in range(0, len(whole), 500)) + b"\0" * 8)
    np.testing.assert_array_equal(open_volume(path).voxels(), random_voxels())


def test_the_declared_size_is_bounded(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v.nii.gz", random_voxels())
    with pytest.raises(Unreadable, match="at most 100 are read"):
        open_volume(path, VolumeLimits(max_voxels=100))


@pytest.mark.parametrize(("shape", "said"), [((4, 4, 4, 2), "4 dimensions"), ((4, 4), "2 dimensions")])
def test_other_dimensions(tmp_path: Path, shape: tuple[int, ...], said: str) -> None:
    path = write_nifti(tmp_path / "v.nii.gz", np.zeros(shape, np.int16))
    with pytest.raises(Unreadable, match=said):
        open_volume(path)


def test_a_fourth_dimension_of_one_is_none(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "v.nii.gz", random_voxels()[..., None])
    assert open_volume(path).voxels().shape == (9, 11, 7)


def test_text_is_no_nifti(tmp_path: Path) -> None:
    (tmp_path / "v.nii").write_text("hello " * 100, encoding="utf-8")
    with pytest.raises(Unreadable, match="is no NIfTI"):
        open_volume(tmp_path / "v.nii")


def test_a_metaimage_of_the_wrong_size(tmp_path: Path) -> None:
    path = write_mha(tmp_path / "v.mha", random_voxels(), compressed=False)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(Unreadable, match="does not hold"):
        open_volume(path).voxels()


def test_a_metaimage_does_not_read_elsewhere(tmp_path: Path) -> None:
    path = write_mha(tmp_path / "v.mhd", random_voxels())
    text = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([*text[:-1], "ElementDataFile = ../other.raw"]), encoding="utf-8")
    with pytest.raises(Unreadable, match="elsewhere"):
        open_volume(path)


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", random_voxels((6, 8, 8), "uint16"))
    gone = sorted(folder.iterdir(), key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2]))[3]
    gone.unlink()
    with pytest.raises(Unreadable, match=r"misses a slice: 5.00 mm between .* 2.50 mm"):
        open_volume(folder)


def test_one_slice_twice(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", random_voxels((6, 8, 8), "uint16"))
    path = sorted(folder.iterdir())[2]
    (folder / "copy.dcm").write_bytes(path.read_bytes())
    with pytest.raises(Unreadable, match="at one place"):
        open_volume(folder)


def test_two_studies_in_one_folder(tmp_path: Path) -> None:
    for uid in ("1.2.3.4001", "1.2.3.4002"):
        write_series(tmp_path / "series", random_voxels((3, 8, 8), "uint16"), series=uid)
    with pytest.raises(BadInput, match="2 series of 2 studies") as caught:
        open_volume(tmp_path / "series")
    assert "1.2.3.4001 (3 files), 1.2.3.4002 (3 files)" in str(caught.value)
    assert open_volume(tmp_path / "series", series="1.2.3.4002").header.shape == (8, 8, 3)


def test_volumes_are_found_below_a_folder(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", random_voxels())
    write_mha(tmp_path / "b.mha", random_voxels())
    write_series(tmp_path / "deep" / "er", random_voxels((3, 8, 8), "uint16"))
    (tmp_path / "notes.txt").write_text("no volume", encoding="utf-8")
    found = [path.relative_to(tmp_path).as_posix() for path in find_volumes(tmp_path)]
    assert found == ["a.nii.gz", "b.mha", "deep/er"]
