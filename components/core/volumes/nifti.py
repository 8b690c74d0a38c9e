"""NIfTI-1 and NIfTI-2 (nifti.nimh.nih.gov): own reader, because decompression is most of the time prepare takes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from components.core.data.quarantine import Unreadable
from components.core.volumes.affine import RAS_TO_LPS, Affine, check
from components.core.volumes.gunzip import GZIP, Inflater, read_into
from components.core.volumes.limits import VolumeLimits, declared_bytes
from components.core.volumes.source import Header

ENDINGS = (".nii", ".nii.gz")

Order: TypeAlias = Literal["<", ">"]
ORDERS: tuple[Order, ...] = ("<", ">")

_DIMS = 7
_FORM_1 = [
    ("sizeof_hdr", "i4"), ("unused", "V36"), ("dim", "i2", 8), ("intent", "V14"), ("datatype", "i2"), ("bitpix", "i2"),
    ("slice_start", "i2"), ("pixdim", "f4", 8), ("vox_offset", "f4"), ("scl_slope", "f4"), ("scl_inter", "f4"),
    ("texts", "V132"), ("qform_code", "i2"), ("sform_code", "i2"), ("quatern", "f4", 3), ("qoffset", "f4", 3),
    ("srow", "f4", (3, 4)), ("intent_name", "V16"), ("magic", "S4"),
]  # fmt: skip
_FORM_2 = [
    ("sizeof_hdr", "i4"), ("magic", "S8"), ("datatype", "i2"), ("bitpix", "i2"), ("dim", "i8", 8), ("intent", "V24"),
    ("pixdim", "f8", 8), ("vox_offset", "i8"), ("scl_slope", "f8"), ("scl_inter", "f8"), ("unused", "V152"),
    ("qform_code", "i4"), ("sform_code", "i4"), ("quatern", "f8", 3), ("qoffset", "f8", 3), ("srow", "f8", (3, 4)),
    ("rest", "V44"),
]  # fmt: skip
_TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
"""Scalar types by code; colours and complex numbers are no CT."""


@dataclass(frozen=True)
class NiftiFile:
    """An opened NIfTI file: one file that holds header and voxels, compressed or not."""

    header: Header
    offset: int

    @classmethod
    def open(cls, path: Path, limits: VolumeLimits) -> "NiftiFile":
        """Read the header.

        Raises:
            Unreadable: It is none, or declares what is not read.
        """
        limits.check_file(path)
        with _stream(path) as stream:
            fields, order = _fields(stream, path)
        count = int(fields["dim"][0])
        shape = limits.check_shape(fields["dim"][1 : count + 1].tolist(), path)
        code = int(fields["datatype"])
        if code not in _TYPES:
            raise Unreadable(f"stores voxels of NIfTI type {code}, which is no number of a CT", where=path)
        dtype = np.dtype(_TYPES[code]).newbyteorder(order)
        affine = RAS_TO_LPS @ _affine(fields, shape)
        check(affine, path)
        slope, intercept = _scaling(fields, path)
        offset = int(fields["vox_offset"])
        if offset < fields.dtype.itemsize:
            raise Unreadable(f"says that its voxels begin at byte {offset}, inside the header", where=path)
        return cls(Header(path, shape, affine, dtype, slope, intercept), offset)

    def voxels(self) -> NDArray[np.generic]:
        """Decode: stored values [i, j, k], as they lie in the file (i fastest)."""
        header = self.header
        buffer = np.empty(declared_bytes(header.shape, header.dtype), np.uint8)
        with _stream(header.path) as stream:
            stream.read(self.offset)
            stream.fill(buffer)
        stored: NDArray[np.generic] = buffer.view(header.dtype).reshape(header.shape, order="F")
        return stored


class _Plain:
    """An uncompressed file with the same two ways to be read."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        self._stream = stream
        self._path = path

    def read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise Unreadable("is truncated", where=self._path)
        return data

    def fill(self, buffer: NDArray[np.uint8]) -> None:
        filled = read_into(self._stream, buffer)
        if filled != len(buffer):
            raise Unreadable(f"is truncated: it holds {filled} of {len(buffer)} bytes of voxels", where=self._path)


@contextmanager
def _stream(path: Path) -> Iterator[Inflater | _Plain]:
    with path.open("rb") as stream:
        yield Inflater(stream, GZIP, path) if path.name.lower().endswith(".gz") else _Plain(stream, path)


def _fields(stream: Inflater | _Plain, path: Path) -> tuple[np.void, Order]:
    """The header's fields, and the byte order they are written in."""
    start = stream.read(4)
    for order in ORDERS:
        for form in (_FORM_1, _FORM_2):
            layout = np.dtype(form).newbyteorder(order)
            if int(np.frombuffer(start, f"{order}i4")[0]) == layout.itemsize:
                rest = stream.read(layout.itemsize - len(start))
                found: np.void = np.frombuffer(start + rest, layout)[0]
                magic = bytes(found["magic"])
                if not magic.startswith((b"n+1", b"n+2")):
                    raise Unreadable("is no NIfTI file that holds its own voxels", where=path)
                if not 1 <= int(found["dim"][0]) <= _DIMS:
                    raise Unreadable(f"declares {int(found['dim'][0])} dimensions", where=path)
                return found, order
    raise Unreadable("is no NIfTI file", where=path)


def _scaling(fields: np.void, path: Path) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or one that is not finite means: none (as the standard and nibabel have it)."""
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or not np.isfinite(slope):
        return 1.0, 0.0
    if not np.isfinite(intercept):
        raise Unreadable(f"has the intercept {intercept} in its header", where=path)
    return slope, intercept


def _affine(fields: np.void, shape: tuple[int, int, int]) -> Affine:
    """Indices to RAS millimetres: sform, else qform, else spacing alone about the centre, x flipped (as nibabel)."""
    affine = np.eye(4)
    sides = np.abs(fields["pixdim"][1:4].astype(np.float64))
    if int(fields["sform_code"]) > 0:
        affine[:3] = fields["srow"]
    elif int(fields["qform_code"]) > 0:
        handed = -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
        affine[:3, :3] = _rotation(fields["quatern"].astype(np.float64)) * (sides * [1, 1, handed])
        affine[:3, 3] = fields["qoffset"]
    else:
        affine[:3, :3] = np.diag(sides * [-1, 1, 1])
        affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _rotation(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation of a unit quaternion given by its vector part (NIfTI's method 2)."""
    b, c, d = quaternion
    a = np.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
