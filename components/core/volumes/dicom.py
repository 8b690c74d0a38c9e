"""One DICOM series in a folder: one file per slice, compressed or not."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput
from components.core.volumes.affine import check
from components.core.volumes.limits import VolumeLimits
from components.core.volumes.source import Header

ENDINGS = (".dcm", ".dicom", ".ima")
PREAMBLE, MAGIC = 128, b"DICM"
TAGS = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "ImageType", "Rows", "Columns",
    "NumberOfFrames", "SamplesPerPixel", "BitsAllocated", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
)  # fmt: skip
"""What the header needs; reading no more keeps private tags and pixels on the disk."""

UNEVEN = 0.1
"""Greatest deviation of the distance between slices, as a fraction of it: more means that one is missing."""


@dataclass(frozen=True)
class DicomSeries:
    """The slices of one series, ordered along their normal."""

    header: Header
    files: tuple[Path, ...]

    @classmethod
    def open(cls, folder: Path, limits: VolumeLimits, series: str = "") -> "DicomSeries":
        """Read the headers of a folder's files.

        Args:
            series: SeriesInstanceUID to take where the folder holds several.

        Raises:
            BadInput: The folder holds several series and none is chosen, or not the chosen one.
            Unreadable: There is no series, a slice is missing, or slices do not fit together.
        """
        slices = [(path, _header(path)) for path in list_files(folder)]
        chosen = _choose(slices, folder, series)
        chosen = [(path, data) for path, data in chosen if "ImagePositionPatient" in data and not _is_localizer(data)]
        if len(chosen) < 2:
            raise Unreadable("holds no series of at least two slices", where=folder)
        first = chosen[0][1]
        _require_alike([data for _, data in chosen], folder)
        rows, columns = int(first.Rows), int(first.Columns)
        limits.check_shape((columns, rows, len(chosen)), folder)
        direction = np.array(first.ImageOrientationPatient, float).reshape(2, 3)
        normal = np.cross(direction[0], direction[1])
        places = np.array([np.array(data.ImagePositionPatient, float) for _, data in chosen])
        order = np.argsort(places @ normal, kind="stable")
        step = _even_step((places @ normal)[order], [chosen[i][0] for i in order], folder)
        side_y, side_x = (float(side) for side in first.PixelSpacing)
        affine = np.eye(4)
        affine[:3, :3] = np.stack([direction[0] * side_x, direction[1] * side_y, normal * step], axis=1)
        affine[:3, 3] = places[order[0]]
        check(affine, folder)
        header = Header(folder, (columns, rows, len(chosen)), affine, np.dtype(np.int16))
        return cls(header, tuple(chosen[i][0] for i in order))

    def voxels(self) -> NDArray[np.generic]:
        """Decode: Hounsfield units [i, j, k], int16 where every slice's rescaling keeps integers."""
        planes = [_decode(path, self.header.shape) for path in self.files]
        return np.stack(planes, axis=-1)


def list_files(folder: Path) -> list[Path]:
    """Files of a folder (not below it) that are DICOM by ending or by content, by name."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path)]


def is_dicom(path: Path) -> bool:
    """By its ending, or by the letters after the preamble: many archives give no ending."""
    if path.suffix.lower() in ENDINGS:
        return True
    if path.suffix and not path.suffix[1:].isdigit():
        return False
    with path.open("rb") as stream:
        return stream.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC


def patient_of(path: Path) -> str:
    """The PatientID that a file gives; empty where it gives none, or cannot be read (decoding reports that)."""
    try:
        data = _pydicom(path).dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"])
        return str(data.get("PatientID") or "").strip()
    except Exception as error:  # pydicom raises many kinds for a damaged file
        if isinstance(error, BadInput):
            raise
        return ""


def _header(path: Path) -> Any:
    try:
        return _pydicom(path).dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
    except Exception as error:  # pydicom raises many kinds for a damaged file
        if isinstance(error, BadInput):
            raise
        raise Unreadable(f"is not a readable DICOM file ({type(error).__name__})", where=path) from error


def _choose(slices: Sequence[tuple[Path, Any]], folder: Path, series: str) -> list[tuple[Path, Any]]:
    """The files of one series."""
    found = Counter(str(data.get("SeriesInstanceUID", "")) for _, data in slices)
    studies = {str(data.get("StudyInstanceUID", "")) for _, data in slices}
    if not found:
        raise Unreadable("holds no DICOM files", where=folder)
    if series and series not in found:
        raise BadInput(f"no series {series!r}", where=str(folder), remedy=f"choose from {', '.join(sorted(found))}")
    if len(found) > 1 and not series:
        listed = ", ".join(f"{uid} ({count} files)" for uid, count in sorted(found.items()))
        raise BadInput(
            f"{len(found)} series of {len(studies)} studies lie in one folder: {listed}",
            where=str(folder),
            remedy="give every series a folder of its own",
        )
    wanted = series or next(iter(found))
    return [(path, data) for path, data in slices if str(data.get("SeriesInstanceUID", "")) == wanted]


def _is_localizer(data: Any) -> bool:
    return "LOCALIZER" in {str(word).upper() for word in data.get("ImageType", [])}


def _require_alike(headers: Sequence[Any], folder: Path) -> None:
    """Slices that differ in what makes a volume are no volume."""
    for tag in ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient"):
        values = {_comparable(data, tag, folder) for data in headers}
        if len(values) > 1:
            raise Unreadable(f"its slices differ in {tag}", where=folder)
    if any(int(data.get("NumberOfFrames", 1) or 1) > 1 for data in headers):
        raise Unreadable("its files hold several frames each; one slice per file is read", where=folder)
    if any(int(data.get("SamplesPerPixel", 1)) > 1 for data in headers):
        raise Unreadable("its slices are colour pictures", where=folder)


def _comparable(data: Any, tag: str, folder: Path) -> tuple[float, ...]:
    value = data.get(tag)
    if value is None:
        raise Unreadable(f"a slice has no {tag}", where=folder)
    return tuple(round(float(v), 4) for v in (value if hasattr(value, "__iter__") else (value,)))


def _even_step(places: NDArray[np.float64], files: Sequence[Path], folder: Path) -> float:
    """Distance between slices.

    Raises:
        Unreadable: Two slices lie at one place, or a gap says that one is missing; both neighbours are named.
    """
    gaps = np.diff(places)
    step = float(np.median(gaps))
    if float(gaps.min()) <= max(1e-3, UNEVEN * step):
        twice = int(gaps.argmin())
        raise Unreadable(f"has two slices at one place: {files[twice].name} and {files[twice + 1].name}", where=folder)
    wrong = np.flatnonzero(np.abs(gaps - step) > UNEVEN * step)
    if len(wrong):
        gap = int(wrong[0])
        raise Unreadable(
            f"misses a slice: {gaps[gap]:.2f} mm between {files[gap].name} and {files[gap + 1].name},"
            f" {step:.2f} mm between the others",
            where=folder,
        )
    return step


def _decode(path: Path, shape: tuple[int, int, int]) -> NDArray[np.generic]:
    """One slice [i, j] in Hounsfield units."""
    try:
        data = _pydicom(path).dcmread(path)
        pixels: NDArray[np.generic] = data.pixel_array
    except Exception as error:  # missing decoders, missing pixel data, short files
        if isinstance(error, BadInput):
            raise
        raise Unreadable(f"has no pixels that can be decoded ({type(error).__name__}: {error})", where=path) from error
    if pixels.shape != (shape[1], shape[0]):
        raise Unreadable(f"decodes to {pixels.shape}, its header says {(shape[1], shape[0])}", where=path)
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    if not (np.isfinite(slope) and np.isfinite(intercept)) or slope == 0:
        raise Unreadable(f"has the slope {slope} and the intercept {intercept}", where=path)
    if slope.is_integer() and intercept.is_integer():
        units = pixels.astype(np.int32) * int(slope) + int(intercept)
        return np.clip(units, -32768, 32767).astype(np.int16).T
    return (pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)).T


def _pydicom(path: Path) -> Any:
    try:
        return import_module("pydicom")
    except ImportError as error:
        raise BadInput(
            "reading DICOM needs pydicom, which is not installed", where=str(path), remedy="install thaw[volumes]"
        ) from error
