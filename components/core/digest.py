"""Digests: how Thaw decides that two inputs, configurations or programs are the same."""

import hashlib
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from components.core.config import canonical

CHUNK = 1 << 20


def digest_bytes(data: bytes) -> str:
    """sha256 of bytes, as lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def digest_values(values: Any) -> str:
    """sha256 over the canonical JSON of plain values."""
    return digest_bytes(canonical(values).encode())


def digest_path(path: Path) -> str:
    """sha256 of a file's bytes, or of a folder's sorted (relative name, file digest) pairs."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return digest_values([[file.relative_to(path).as_posix(), digest_path(file)] for file in files])
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()


def digest_once(path: Path) -> str:
    """`digest_path` of something large, read once per process while its files' sizes and times are the same."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    stamps = [(file.as_posix(), (status := file.stat()).st_size, status.st_mtime_ns) for file in files]
    return _digest_stamped(path, tuple(stamps))


@lru_cache(maxsize=32)
def _digest_stamped(path: Path, _stamps: tuple[tuple[str, int, int], ...]) -> str:
    return digest_path(path)


@cache
def digest_code() -> str:
    """sha256 over the installed `components` package: its code and the data files it ships."""
    root = Path(__file__).resolve().parents[1]
    compiled = "__pycache__"  # holds also what another process is writing at this moment
    files = sorted(file for file in root.rglob("*") if compiled not in file.parts and file.is_file())
    return digest_values([[file.relative_to(root).as_posix(), digest_path(file)] for file in files])
