"""2-D planes of volumes: NIfTI by nibabel and DICOM by pydicom, both optional and imported where used."""

import threading
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Shaped

from components.core.config import Values
from components.core.data.quarantine import Unreadable
from components.core.errors import BadInput

NIFTI = (".nii", ".nii.gz")
DICOM = (".dcm", ".dicom")
MAX_VOXELS = 1 << 29
"""Larger volumes are refused: one must fit in memory while its planes are cut."""

Window = tuple[float, float]
"""Grey levels that become black and white."""

AnyVolume = Shaped[np.ndarray, "d h w *c"]

_loading = threading.Lock()


class Plane(Values):
    """One plane of a volume: `index` along `axis` (0, 1, 2 as stored; DICOM frames lie along axis 0)."""

    axis: int
    index: int


class Planes(Values):
    """Which planes of a volume become pictures.

    Attributes:
        axis: Axis the planes are stacked along, as stored in the NIfTI file. DICOM frames ignore it.
        index: The only plane to take; None takes all.
        window: Grey levels that become black and white; None scales each plane by its own percentiles.
    """

    axis: Literal[0, 1, 2] = 2
    index: int | None = None
    window: Window | None = None


def is_volume(path: Path) -> bool:
    """Is this a format whose files hold planes?"""
    return path.name.lower().endswith(NIFTI + DICOM)


def list_planes(path: Path, choice: Planes) -> list[Plane]:
    """The planes of a volume that were chosen, from its header alone.

    A file whose header cannot be read gives one plane, so that reading it later reports the file.

    Raises:
        BadInput: The optional package is missing, or the chosen plane does not exist.
    """
    try:
        axis, depth = _extent(path, choice)
    except Unreadable:
        return [Plane(axis=choice.axis, index=0)]
    if choice.index is None:
        return [Plane(axis=axis, index=index) for index in range(depth)]
    if not 0 <= choice.index < depth:
        raise BadInput(
            f"plane {choice.index} does not exist: the volume has {depth} along axis {axis}",
            where=str(path),
            remedy="choose another planes.index, or leave it out to take all planes",
        )
    return [Plane(axis=axis, index=choice.index)]


def read_plane(path: Path, plane: Plane) -> Shaped[np.ndarray, "h w *c"]:
    """One plane as stored (rescaled to the file's units).

    Raises:
        Unreadable: The file is damaged, too large or has no such plane.
        BadInput: The optional package is missing.
    """
    if not path.is_file():
        raise Unreadable("does not exist", where=path)
    stat = path.stat()
    with _loading:  # one volume is decoded once, not once per thread
        volume = _volume(_Version(path, stat.st_mtime_ns, stat.st_size))
    if plane.axis >= volume.ndim or plane.index >= volume.shape[plane.axis]:
        raise Unreadable(f"has no plane {plane.index} along axis {plane.axis}", where=path)
    cut: Shaped[np.ndarray, "h w *c"] = volume.take(plane.index, axis=plane.axis)
    # NIfTI stores x before y; a picture has rows (y) before columns (x).
    return cut.T if path.name.lower().endswith(NIFTI) else cut


def _extent(path: Path, choice: Planes) -> tuple[int, int]:
    """(axis, number of planes)."""
    if path.name.lower().endswith(NIFTI):
        return choice.axis, int(_nifti(path).shape[choice.axis])
    return 0, int(_dicom(path, header_only=True).get("NumberOfFrames", 1) or 1)


class _Version(NamedTuple):
    """A file as it is now: an edited one is another key of the cache."""

    path: Path
    changed_ns: int
    size: int


@lru_cache(maxsize=2)
def _volume(version: _Version) -> AnyVolume:
    return _decode_nifti(version.path) if version.path.name.lower().endswith(NIFTI) else _decode_dicom(version.path)


def _nifti(path: Path) -> Any:
    nibabel = _optional("nibabel", path)
    try:
        image = nibabel.load(path)
        shape = image.shape
    except Exception as error:  # nibabel raises many kinds for a damaged header
        raise Unreadable(f"is not a readable NIfTI file ({type(error).__name__})", where=path) from error
    if len(shape) != 3:
        raise Unreadable(f"has {len(shape)} dimensions; 3 are read", where=path)
    if int(np.prod(shape, dtype=np.int64)) > MAX_VOXELS:
        raise Unreadable(f"has more than {MAX_VOXELS} voxels", where=path)
    return image


def _decode_nifti(path: Path) -> AnyVolume:
    image = _nifti(path)
    try:
        return np.asarray(image.dataobj)
    except Exception as error:  # damaged gzip streams and short files end in many kinds
        raise Unreadable(f"is damaged ({type(error).__name__})", where=path) from error


def _dicom(path: Path, *, header_only: bool) -> Any:
    pydicom = _optional("pydicom", path)
    try:
        return pydicom.dcmread(path, stop_before_pixels=header_only)
    except Exception as error:  # pydicom raises many kinds for a damaged file
        raise Unreadable(f"is not a readable DICOM file ({type(error).__name__})", where=path) from error


def _decode_dicom(path: Path) -> AnyVolume:
    """Frames first: [frames, h, w] or [frames, h, w, 3], in the units of RescaleSlope and RescaleIntercept."""
    data = _dicom(path, header_only=False)
    frames = int(data.get("NumberOfFrames", 1) or 1)
    if frames * int(data.get("Rows", 0)) * int(data.get("Columns", 0)) > MAX_VOXELS:
        raise Unreadable(f"has more than {MAX_VOXELS} pixels", where=path)
    try:
        pixels: AnyVolume = data.pixel_array
    except Exception as error:  # missing decoders, missing pixel data, short files
        raise Unreadable(f"has no pixels that can be decoded ({type(error).__name__})", where=path) from error
    pixels = pixels if frames > 1 else pixels[None]
    if int(data.get("SamplesPerPixel", 1)) > 1:
        return pixels
    pixels = _rescaled(pixels, data)
    return pixels.max() - pixels if data.get("PhotometricInterpretation") == "MONOCHROME1" else pixels


def _rescaled(pixels: AnyVolume, data: Any) -> AnyVolume:
    slope, intercept = float(data.get("RescaleSlope", 1)), float(data.get("RescaleIntercept", 0))
    if (slope, intercept) == (1.0, 0.0):
        return pixels
    return pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def _optional(package: str, path: Path) -> Any:
    try:
        return import_module(package)
    except ImportError as error:
        raise BadInput(
            f"reading this format needs {package}, which is not installed",
            where=str(path),
            remedy="install thaw[volumes]",
        ) from error
