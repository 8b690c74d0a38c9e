"""Pictures and masks: every format gives 8 bits, and every damage a reason."""

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from components.core.data import images
from components.core.data.images import read_image, read_mask, stem
from components.core.data.quarantine import Unreadable
from components.core.data.slices import Plane, Planes, list_planes
from components.core.errors import BadInput


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_rgb_round_trip(tmp_path: Path, suffix: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(read_image(save(tmp_path / f"a{suffix}", pixels)), pixels)


def test_grey_is_repeated_and_transparency_dropped(tmp_path: Path) -> None:
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert np.array_equal(read_image(save(tmp_path / "grey.png", grey)), np.stack([grey] * 3, axis=2))
    rgba = np.dstack([grey, grey, grey, np.zeros_like(grey)])
    assert np.array_equal(read_image(save(tmp_path / "rgba.png", rgba)), rgba[:, :, :3])


def test_16_bit_is_scaled_to_the_window(tmp_path: Path) -> None:
    path = save(tmp_path / "deep.png", np.array([[100, 600, 1100, 5000]], dtype=np.uint16))
    assert read_image(path, window=(100.0, 1100.0))[0, :, 0].tolist() == [0, 128, 255, 255]
    automatic = read_image(path)[0, :, 0].tolist()
    assert automatic[0] == 0 and automatic[-1] == 255 and automatic == sorted(automatic)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to show
    Image.new("RGB", (8, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").shape == (8, 4, 3)


def test_truncated_picture(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(Unreadable, match="truncated") as caught:
        read_image(path)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match="not a readable picture"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_pixels(tmp_path: Path, bad: float) -> None:
    path = save(tmp_path / "a.tif", np.array([[0.0, bad], [1.0, 2.0]], dtype=np.float32))
    with pytest.raises(Unreadable, match="NaN or infinite"):
        read_image(path)


def test_decompression_bombs_are_refused_undecoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", np.zeros((20, 20), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 399)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(Unreadable, match="more than 399 pixels"):
        read_image(path)


def test_pillows_own_bomb_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.png", np.zeros((20, 20), np.uint8))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Unreadable, match="pixels"):
        read_image(path)


def test_several_pages_are_refused(tmp_path: Path) -> None:
    pages = [Image.new("L", (4, 4)), Image.new("L", (4, 4))]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(Unreadable, match="2 pages"):
        read_image(tmp_path / "a.tif")


def test_masks_keep_stored_values(tmp_path: Path) -> None:
    values = np.array([[0, 2], [255, 7]], dtype=np.uint8)
    assert np.array_equal(read_mask(save(tmp_path / "grey.png", values)), values)
    palette = Image.fromarray(values % 3)
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "palette.png")
    assert np.array_equal(read_mask(tmp_path / "palette.png"), values % 3)
    rgb = np.stack([values] * 3, axis=2)
    assert np.array_equal(read_mask(save(tmp_path / "rgb.png", rgb)), values)
    assert np.array_equal(read_mask(save(tmp_path / "bits.png", values > 3)), (values > 3) * 255)


def test_masks_without_label_values(tmp_path: Path) -> None:
    colours = np.zeros((2, 2, 3), np.uint8)
    colours[0, 0] = (255, 0, 0)
    with pytest.raises(BadInput, match="colours"):
        read_mask(save(tmp_path / "rgb.png", colours))
    with pytest.raises(BadInput, match="fractions"):
        read_mask(save(tmp_path / "soft.tif", np.array([[0.5]], dtype=np.float32)))


def nifti(path: Path, volume: np.ndarray) -> Path:
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)
    return path


def test_nifti_planes(tmp_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 1000, (6, 5, 4)).astype(np.int16)
    path = nifti(tmp_path / "scan.nii.gz", volume)
    assert stem(path) == "scan"
    assert list_planes(path, Planes()) == [Plane(axis=2, index=index) for index in range(4)]
    assert list_planes(path, Planes(axis=0, index=5)) == [Plane(axis=0, index=5)]
    shown = read_image(path, Plane(axis=2, index=1), window=(0.0, 1000.0))
    assert shown.shape == (5, 6, 3)
    assert np.array_equal(shown[:, :, 0], np.rint(volume[:, :, 1].T * np.float32(0.255)).astype(np.uint8))
    assert np.array_equal(read_mask(path, Plane(axis=2, index=3)), volume[:, :, 3].T)
    with pytest.raises(BadInput, match="plane 9 does not exist"):
        list_planes(path, Planes(index=9))


def test_an_edited_volume_is_read_anew(tmp_path: Path) -> None:
    path = nifti(tmp_path / "a.nii", np.zeros((2, 2, 2), np.uint8))
    assert not read_mask(path, Plane(axis=2, index=0)).any()
    nifti(path, np.ones((2, 2, 3), np.uint8))
    assert read_mask(path, Plane(axis=2, index=0)).all()


def test_damaged_nifti_is_found_when_read(tmp_path: Path) -> None:
    path = nifti(tmp_path / "scan.nii.gz", np.random.default_rng(0).integers(0, 99, (9, 9, 9)).astype(np.int16))
    path.write_bytes(path.read_bytes()[:500])
    (tmp_path / "none.nii").write_bytes(b"nothing")
    assert len(list_planes(tmp_path / "none.nii", Planes())) == 1
    for damaged in (path, tmp_path / "none.nii"):
        with pytest.raises(Unreadable):
            read_image(damaged, Plane(axis=2, index=0))


def dicom(path: Path, pixels: np.ndarray, interpretation: str) -> Path:
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, interpretation
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
    data.RescaleSlope, data.RescaleIntercept = 2, -100
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def test_dicom_in_its_units(tmp_path: Path) -> None:
    pixels = np.array([[0, 50, 100], [150, 200, 250]])
    path = dicom(tmp_path / "a.dcm", pixels, "MONOCHROME2")
    (plane,) = list_planes(path, Planes())
    shown = read_image(path, plane, window=(-100.0, 400.0))[:, :, 0]
    assert np.array_equal(shown, np.rint(pixels * 2 * np.float32(0.51)).astype(np.uint8))
    inverted = read_image(dicom(tmp_path / "b.dcm", pixels, "MONOCHROME1"), plane, window=(0.0, 500.0))[:, :, 0]
    assert inverted[0, 0] == 255 and inverted[1, 2] == 0


def test_no_dicom(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"nothing")
    with pytest.raises(Unreadable, match="DICOM"):
        read_image(tmp_path / "a.dcm", Plane(axis=0, index=0))


def test_optional_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nifti(tmp_path / "a.nii", np.zeros((2, 2, 2), np.uint8))
    monkeypatch.setitem(__import__("sys").modules, "nibabel", None)
    with pytest.raises(BadInput, match="needs nibabel") as caught:
        list_planes(path, Planes())
    assert "thaw[volumes]" in caught.value.remedy
