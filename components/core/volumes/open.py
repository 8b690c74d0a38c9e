"""Any volume: a NIfTI file, a MetaImage, or the folder of a DICOM series."""

from pathlib import Path

from components.core.errors import BadInput
from components.core.volumes import dicom, metaimage, nifti
from components.core.volumes.dicom import DicomSeries
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.metaimage import MetaFile
from components.core.volumes.nifti import NiftiFile
from components.core.volumes.source import VolumeFile

ENDINGS = (*nifti.ENDINGS, ".mha", ".mhd")
"""Of files that hold a whole volume."""


def is_volume_file(path: Path) -> bool:
    """Does the name say that the file holds a whole volume?"""
    return path.name.lower().endswith(ENDINGS)


def open_volume(path: Path, limits: VolumeLimits | None = None, series: str = "") -> VolumeFile:
    """Read a volume's header.

    Args:
        path: File, or folder of a DICOM series.
        series: SeriesInstanceUID, where the folder holds several.

    Raises:
        Unreadable: The file is damaged, too large or of another form.
        BadInput: A folder holds several series.
    """
    bounds = limits or VolumeLimits()
    if path.is_dir():
        return DicomSeries.open(path, bounds, series)
    if path.name.lower().endswith(nifti.ENDINGS):
        return NiftiFile.open(path, bounds)
    if path.name.lower().endswith(metaimage.ENDINGS):
        return MetaFile.open(path, bounds)
    raise BadInput(
        "not a volume that is read",
        where=str(path),
        remedy=f"give one of {', '.join(ENDINGS)}, or a folder of {', '.join(dicom.ENDINGS)} files",
    )


def find_volumes(folder: Path) -> list[Path]:
    """Every volume below a folder, by name: files by their ending, and folders that hold DICOM files themselves."""
    found = [path for path in folder.rglob("*") if path.is_file() and is_volume_file(path)]
    inside = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    found += [path for path in inside if dicom.list_files(path)]
    return sorted(found)
