"""Shards: safetensors files of many cases' arrays, written whole and read in place.

Tensors are named "<case id>/<array>". The header carries a CRC-32 of every tensor, so that a damaged byte is
found when its array is first read, without reading the rest. Format: https://github.com/huggingface/safetensors.
"""

import json
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped
from safetensors.numpy import save_file

from components.core.config import Values
from components.core.digest import digest_bytes, digest_path
from components.core.errors import BadInput
from components.core.store.durable import sync_folder

FULL_BYTES = 128 << 20
"""A shard of this size is closed."""

MAX_BYTES = 256 << 20
"""A shard is closed before it grows beyond this, unless one case alone does."""

MAX_HEADER_BYTES = 100_000_000
DTYPES = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "U16": np.uint16, "I16": np.int16, "U32": np.uint32,
    "I32": np.int32, "U64": np.uint64, "I64": np.int64, "F16": np.float16, "F32": np.float32, "F64": np.float64,
}  # fmt: skip

AnyArray = Shaped[np.ndarray, "..."]
Arrays = Mapping[str, AnyArray]


class ShardEntry(Values):
    """A shard as the card names it.

    Attributes:
        name: File name.
        size: Bytes.
        sha256: Digest of the whole file.
        header_sha256: Digest of its header, which holds the CRC-32 of every tensor.
    """

    name: str
    size: int
    sha256: str
    header_sha256: str


class ShardWriter:
    """Packs cases into shards of 64 to 256 MB.

    Args:
        folder: Existing folder to write into.
        full: Bytes at which a shard is closed.
        limit: Bytes a shard does not exceed, unless one case alone does.
    """

    def __init__(self, folder: Path, *, full: int = FULL_BYTES, limit: int = MAX_BYTES) -> None:
        self._folder = folder
        self._full = full
        self._limit = limit
        self._pending: dict[str, AnyArray] = {}
        self._bytes = 0
        self.entries: list[ShardEntry] = []

    def add(self, case: str, arrays: Arrays) -> str:
        """Add a case.

        Returns:
            Name of the shard that holds (or will hold) it.

        Raises:
            ValueError: An array has a name or type that a shard cannot hold.
        """
        size = sum(array.nbytes for array in arrays.values())
        if self._pending and self._bytes + size > self._limit:
            self._flush()
        for name, array in arrays.items():
            if "/" in name or array.dtype.type not in DTYPES.values():
                raise ValueError(f"a shard cannot hold array {name!r} of type {array.dtype}")
            self._pending[f"{case}/{name}"] = np.asarray(array, order="C")
        self._bytes += size
        shard = self._name()
        if self._bytes >= self._full:
            self._flush()
        return shard

    def close(self) -> list[ShardEntry]:
        """Write what is pending, and name every shard."""
        if self._pending:
            self._flush()
        return self.entries

    def _name(self) -> str:
        return f"shard-{len(self.entries):05d}.safetensors"

    def _flush(self) -> None:
        path = self._folder / self._name()
        partial = path.with_suffix(".unfinished")
        checks = {key: zlib.crc32(array.reshape(-1).view(np.uint8).data) for key, array in self._pending.items()}
        save_file(self._pending, partial, metadata={"crc32": json.dumps(checks, sort_keys=True)})
        with partial.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(partial, path)
        sync_folder(self._folder)
        header = digest_bytes(_read_header(path))
        size = path.stat().st_size
        self.entries.append(ShardEntry(name=path.name, size=size, sha256=digest_path(path), header_sha256=header))
        self._pending, self._bytes = {}, 0


class ShardReader:
    """Random access to one shard: arrays are read-only views of the mapped file, never copies.

    Args:
        path: The shard.
        entry: What the card says of it.

    Raises:
        BadInput: The file is missing or is not what the card says.
    """

    def __init__(self, path: Path, entry: ShardEntry) -> None:
        self._path = path
        if not path.is_file() or path.stat().st_size != entry.size:
            raise self._corrupt("is missing or has another size than the card says")
        header = _read_header(path)
        if digest_bytes(header) != entry.header_sha256:
            raise self._corrupt("has another header than the card says")
        self._start = 8 + len(header)
        self._tensors: dict[str, dict[str, Any]] = json.loads(header)
        self._checks: dict[str, int] = json.loads(self._tensors.pop("__metadata__")["crc32"])
        self._sound: set[str] = set()
        self._lock = threading.Lock()
        with path.open("rb") as stream:
            self._map = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def names(self, case: str) -> list[str]:
        """Names of a case's arrays."""
        return sorted(key.rpartition("/")[2] for key in self._tensors if key.rpartition("/")[0] == case)

    def array(self, case: str, name: str) -> Shaped[np.ndarray, "..."]:
        """A read-only view of one array; its CRC-32 is checked the first time.

        Raises:
            KeyError: There is no such array.
            BadInput: The bytes are damaged.
        """
        key = f"{case}/{name}"
        tensor = self._tensors[key]
        dtype = np.dtype(DTYPES[tensor["dtype"]])
        begin, end = tensor["data_offsets"]
        flat = np.frombuffer(self._map, dtype, (end - begin) // dtype.itemsize, self._start + begin)
        if key not in self._sound:
            self._check(key, flat)
        return flat.reshape(tensor["shape"])

    def _check(self, key: str, flat: Shaped[np.ndarray, " n"]) -> None:
        if zlib.crc32(flat.view(np.uint8).data) != self._checks[key]:
            raise self._corrupt(f"holds damaged bytes in {key!r}")
        with self._lock:
            self._sound.add(key)

    def _corrupt(self, what: str) -> BadInput:
        return BadInput(f"the shard {what}", where=str(self._path), remedy="run prepare again, or restore the file")


def _read_header(path: Path) -> bytes:
    """The header's JSON bytes.

    Raises:
        BadInput: The file does not begin with a header of sensible length.
    """
    with path.open("rb") as stream:
        prefix = stream.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else MAX_HEADER_BYTES + 1
        header = stream.read(length) if length <= MAX_HEADER_BYTES else b""
    if len(header) != length:
        raise BadInput(
            "the shard has no whole header", where=str(path), remedy="run prepare again, or restore the file"
        )
    return header
