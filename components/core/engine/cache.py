"""Features of frozen layers on disk: filled once per key, verified when opened, evicted least recently used.

A key is a folder of safetensors chunks and an index with their digests. The index is written last, so a key
is either complete or unfinished; an unfinished one is continued chunk by chunk by whoever holds its lock.
"""

import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from components.core.digest import digest_path
from components.core.runtime import Cache
from components.core.store import durable

INDEX = "index.json"
FIELD = "x"
IN_MEMORY_BYTES = 512 * 10**6
"""A key up to this size is read into memory when opened; a larger one is read row by row from its maps."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CachedKey:
    """One finished key, for `thaw cache list`."""

    key: str
    bytes: int
    used: float
    note: str


class Bank:
    """The features of one key: rows in a fixed order."""

    def __init__(self, folder: Path, chunk_rows: int, count: int) -> None:
        self._chunk_rows = chunk_rows
        # All of them now: a map outlives its file, which another process may evict while this one trains.
        files = [_chunk_file(folder, i) for i in range(-(-count // chunk_rows))]
        self._maps: list[Any] = [safe_open(file, framework="pt") for file in files]
        self._memory: Tensor | None = None
        self.nbytes = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        """Size on disk."""
        if self.nbytes <= IN_MEMORY_BYTES:
            self._memory = torch.cat([chunk.get_tensor(FIELD) for chunk in self._maps])

    def read(self, rows: list[int]) -> Tensor:
        """Rows as float32, [len(rows), ...]."""
        if self._memory is not None:
            return self._memory[rows].float()
        pieces = []
        for row in rows:
            chunk, offset = divmod(row, self._chunk_rows)
            pieces.append(self._maps[chunk].get_slice(FIELD)[offset : offset + 1])
        return torch.cat(pieces).float()


class FeatureCache:
    """The cache folder, bounded in size and shared between processes."""

    def __init__(self, settings: Cache) -> None:
        self.settings = settings
        self.hits = 0
        """Rows found complete."""
        self.misses = 0
        """Rows computed."""
        self._opened: set[str] = set()

    @property
    def limit(self) -> int:
        """Bound on the folder in bytes."""
        return int(self.settings.max_gb * 10**9)

    def open(
        self, key: str, note: str, count: int, chunk_rows: int, compute: Callable[[int, int], Tensor]
    ) -> Bank | None:
        """The bank of a key, filled now if it is not complete.

        Args:
            key: Digest of everything that decides the features.
            note: What they are, for people.
            count: Rows.
            chunk_rows: Rows per chunk: part of the layout, so it must be the same for equal keys.
            compute: (start, stop) to features [stop - start, ...], on the CPU.

        Returns:
            None where the key would not fit into the cache: the caller computes in the step instead.
        """
        folder = self.settings.dir / key
        with self._locked(key):
            if self._is_whole(folder):
                self.hits += count
            elif not self._fill(folder, note, count, chunk_rows, compute):
                return None
            (folder / INDEX).touch()
            self._opened.add(key)
            return Bank(folder, chunk_rows, count)

    def entries(self) -> list[CachedKey]:
        """Finished and unfinished keys, least recently used first."""
        if not self.settings.dir.is_dir():
            return []
        return sorted(self._entries(), key=lambda entry: entry.used)

    def prune(self, keep_bytes: int = 0) -> int:
        """Delete least recently used keys until at most `keep_bytes` remain. Returns the bytes freed."""
        return self._evict(self.entries(), keep_bytes)

    def _evict(self, entries: list[CachedKey], keep_bytes: int) -> int:
        """Keys that another process is opening or filling at this moment are passed over, not waited for.

        What a process has opened may go: its banks are mapped, and a map outlives its file.
        """
        total = sum(entry.bytes for entry in entries)
        freed = 0
        for entry in entries:
            if total - freed <= keep_bytes:
                break
            try:
                with FileLock(self._lock_file(entry.key), timeout=0):
                    shutil.rmtree(self.settings.dir / entry.key)
            except Timeout:
                log.info("cached features %s are being opened or filled: kept", entry.key)
            else:
                freed += entry.bytes
        return freed

    def _entries(self) -> Iterator[CachedKey]:
        for folder in self.settings.dir.iterdir():
            if folder.is_dir():
                files = list(folder.iterdir())
                index = folder / INDEX
                note = _read_index(index).get("note", "unfinished")
                used = max((file.stat().st_mtime for file in files), default=0.0)
                yield CachedKey(folder.name, sum(file.stat().st_size for file in files), used, note)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        self.settings.dir.mkdir(parents=True, exist_ok=True)
        with FileLock(self._lock_file(key)):
            yield

    def _lock_file(self, key: str) -> Path:
        return self.settings.dir / f"{key}.lock"

    def _is_whole(self, folder: Path) -> bool:
        index = folder / INDEX
        if not index.exists():
            return False
        chunks: dict[str, str] = _read_index(index).get("chunks", {})
        broken = [n for n, digest in chunks.items() if not (folder / n).exists() or digest_path(folder / n) != digest]
        if not chunks:
            broken = [INDEX]
        if broken:
            log.warning("cached features %s are damaged (%s): computing them again", folder.name, ", ".join(broken))
            shutil.rmtree(folder)
        return not broken

    def _fill(self, folder: Path, note: str, count: int, rows: int, compute: Callable[[int, int], Tensor]) -> bool:
        folder.mkdir(parents=True, exist_ok=True)
        dtype: torch.dtype = getattr(torch, self.settings.dtype)
        for number, start in enumerate(range(0, count, rows)):
            file = _chunk_file(folder, number)
            if not file.exists():
                features = compute(start, min(start + rows, count)).to(dtype)
                if number == 0 and not self._make_room(folder, note, features, count):
                    return False
                self.misses += len(features)
                _write_whole(features, file)
        chunks = {file.name: digest_path(file) for file in sorted(folder.glob("*.safetensors"))}
        durable.replace(folder / INDEX, json.dumps({"note": note, "created": time.time(), "chunks": chunks}).encode())
        return True

    def _make_room(self, folder: Path, note: str, first: Tensor, count: int) -> bool:
        """Announce the size of the key, evict others for it, and say whether it fits beside those of this run."""
        needed = first.nbytes // max(1, len(first)) * count
        entries = self.entries()
        kept = sum(entry.bytes for entry in entries if entry.key in self._opened)
        if needed + kept > self.limit:
            log.warning(
                "frozen features %s need %.1f GB beside %.1f GB in use, more than runtime.cache.max_gb = %g:"
                " computing them in every step",
                note, needed / 1e9, kept / 1e9, self.settings.max_gb,
            )  # fmt: skip
            shutil.rmtree(folder)
            return False
        log.info("caching frozen features %s: %d rows, %.1f MB", note, count, needed / 1e6)
        others = [entry for entry in entries if entry.key not in self._opened | {folder.name}]
        self._evict(others, self.limit - needed - kept)
        return True


def _read_index(file: Path) -> dict[str, Any]:
    """What an index says; nothing where it is missing or damaged."""
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _chunk_file(folder: Path, number: int) -> Path:
    return folder / f"chunk-{number:05d}.safetensors"


def _write_whole(features: Tensor, file: Path) -> None:
    partial = file.with_suffix(".unfinished")
    save_file({FIELD: features.contiguous()}, partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(partial, file)
