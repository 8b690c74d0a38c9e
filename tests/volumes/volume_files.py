"""Small volumes written by other people's writers, for readers of our own."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

RAS = np.array([[-1.5, 0, 0, 40], [0, -2.0, 0, 30], [0, 0, 2.5, -10], [0, 0, 0, 1]])
"""Stored x to the left, y to the back, z to the head: the usual axial CT."""


def random_voxels(
    shape: tuple[int, int, int] = (9, 11, 7), dtype: str = "int16", seed: int = 0
) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-1000 if dtype[0] != "u" else 0, 1500, shape).astype(dtype)


def write_nifti(path: Path, voxels: Any, affine: Any = RAS, kind: Any = nibabel.Nifti1Image, **header: Any) -> Path:
    image = kind(voxels, affine)
    for key, value in header.items():
        image.header[key] = value
    nibabel.save(image, path)
    return path


def write_mha(path: Path, voxels: Any, *, compressed: bool = True) -> Path:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10.0, 5.0, 100.0))
    image.SetDirection((1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path


def write_series(folder: Path, voxels: Any, *, series: str = "", slope: float = 1, intercept: float = -1024) -> Path:
    """Slices [z, y, x] of stored values, one file each, named in an order that is not theirs in space."""
    folder.mkdir(parents=True, exist_ok=True)
    series = series or generate_uid()
    for index, plane in enumerate(voxels):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        name = folder / f"{(index * 7) % 100:03d}-{series[-4:]}.dcm"
        data = FileDataset(str(name), {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID, data.Modality = (
            series,
            series.rsplit(".", 1)[0] + f".{series[-1]}",
            "CT",
        )
        data.Rows, data.Columns = plane.shape
        data.PixelSpacing, data.ImageOrientationPatient = [0.8, 0.7], [1, 0, 0, 0, 1, 0]
        data.ImagePositionPatient = [-10.0, 5.0, 100.0 + 2.5 * index]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.RescaleSlope, data.RescaleIntercept = slope, intercept
        data.PixelData = plane.astype(np.uint16).tobytes()
        pydicom.dcmwrite(name, data, enforce_file_format=True)
    return folder
