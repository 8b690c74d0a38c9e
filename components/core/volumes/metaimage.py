"""MetaImage (.mha, and .mhd beside its voxels), the form of ITK's tools and of the VLM3D challenge."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.data.quarantine import Unreadable
from components.core.volumes.affine import Affine, check
from components.core.volumes.gunzip import ZLIB, Inflater, read_into
from components.core.volumes.limits import VolumeLimits, declared_bytes
from components.core.volumes.source import Header

ENDINGS = (".mha", ".mhd")

LONGEST_HEADER = 1 << 16
LOCAL = "LOCAL"
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip


@dataclass(frozen=True)
class MetaFile:
    """An opened MetaImage.

    Attributes:
        data: File that holds the voxels.
        offset: Where they begin in it.
        compressed: By zlib.
    """

    header: Header
    data: Path
    offset: int
    compressed: bool

    @classmethod
    def open(cls, path: Path, limits: VolumeLimits) -> "MetaFile":
        """Read the header.

        Raises:
            Unreadable: It is none, or declares what is not read.
        """
        limits.check_file(path)
        fields, end = _fields(path)
        if int(fields.get("ElementNumberOfChannels", "1")) != 1:
            raise Unreadable("has several channels; a CT has one", where=path)
        shape = limits.check_shape([int(_number(word, path)) for word in _words(fields, "DimSize", path)], path)
        affine = _affine(fields, path)
        check(affine, path)
        data, offset = _place(fields["ElementDataFile"], end, path)
        limits.check_file(data)
        compressed = fields.get("CompressedData", "False").lower() == "true"
        return cls(Header(path, shape, affine, _dtype(fields, path)), data, offset, compressed)

    def voxels(self) -> NDArray[np.generic]:
        """Decode: stored values [i, j, k] (i fastest in the file)."""
        header = self.header
        buffer = np.empty(declared_bytes(header.shape, header.dtype), np.uint8)
        with self.data.open("rb") as stream:
            stream.seek(self.offset)
            if self.compressed:
                Inflater(stream, ZLIB, self.data).fill(buffer)
            else:
                filled = read_into(stream, buffer)
                if filled != len(buffer) or stream.read(1):
                    raise Unreadable(f"does not hold the {len(buffer)} bytes that its header declares", where=self.data)
        stored: NDArray[np.generic] = buffer.view(header.dtype).reshape(header.shape, order="F")
        return stored


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """`key = value` lines up to ElementDataFile, which is the last, and where they end."""
    fields: dict[str, str] = {}
    with path.open("rb") as stream:
        while stream.tell() < LONGEST_HEADER:
            line = stream.readline(LONGEST_HEADER)
            key, separator, value = line.partition(b"=")
            if not separator:
                break
            fields[key.strip().decode("latin-1")] = value.strip().decode("latin-1")
            if key.strip() == b"ElementDataFile":
                return fields, stream.tell()
    raise Unreadable("is no MetaImage: its header does not name ElementDataFile", where=path)


def _place(named: str, end: int, path: Path) -> tuple[Path, int]:
    """File of the voxels and where they begin."""
    if named == LOCAL:
        return path, end
    if named.startswith("LIST") or "%" in named:
        raise Unreadable("keeps its voxels in several files; one is read", where=path)
    data = path.parent / named
    if not data.resolve().is_relative_to(path.parent.resolve()):
        raise Unreadable(f"keeps its voxels elsewhere, at {named!r}; only the same folder is read", where=path)
    return data, 0


def _dtype(fields: dict[str, str], path: Path) -> np.dtype[np.generic]:
    named = fields.get("ElementType", "")
    if named not in _TYPES:
        raise Unreadable(f"stores voxels of type {named!r}", where=path)
    big = fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "False")).lower() == "true"
    return np.dtype(_TYPES[named]).newbyteorder(">" if big else "<")


def _affine(fields: dict[str, str], path: Path) -> Affine:
    """Stored indices to LPS: each row of TransformMatrix is the direction of one stored axis."""
    sides = np.array([_number(word, path) for word in _words(fields, "ElementSpacing", path)][:3])
    directions, origin = np.eye(3), np.zeros(3)
    for key in ("TransformMatrix", "Rotation", "Orientation"):
        if key in fields:
            directions = np.array([_number(word, path) for word in fields[key].split()]).reshape(3, 3).T
            break
    for key in ("Offset", "Position", "Origin"):
        if key in fields:
            origin = np.array([_number(word, path) for word in fields[key].split()])
            break
    affine = np.eye(4)
    affine[:3, :3] = directions * sides
    affine[:3, 3] = origin
    return affine


def _words(fields: dict[str, str], key: str, path: Path) -> list[str]:
    words = fields.get(key, "").split()
    if len(words) < 3:
        raise Unreadable(f"its header names no {key} of three numbers", where=path)
    return words


def _number(word: str, path: Path) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise Unreadable(f"has {word!r} in its header where a number belongs", where=path) from error
