"""Cases decoded in threads, in order and a few ahead; what is costly is kept for a `prepare` that may be killed."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from components.core.data.case import Case, Decoded
from components.core.data.fingerprints import Fingerprint, fingerprint
from components.core.data.kept import Kept
from components.core.data.quarantine import Unreadable
from components.core.digest import digest_path, digest_values


@dataclass(frozen=True)
class Ready:
    """A decoded case.

    Attributes:
        decoded: Arrays, and what decoding told.
        files_sha256: Digests of its files, in order.
        print: Its fingerprint; None only where all groups are given.
    """

    decoded: Decoded
    files_sha256: tuple[str, ...]
    print: Fingerprint | None

    @property
    def source_sha256(self) -> str:
        """Digest over all of its files."""
        return digest_values(list(self.files_sha256))


def decode_all(cases: Sequence[Case], kept: Kept, workers: int) -> Iterator[tuple[Case, Ready | Unreadable]]:
    """Decode in order, a few cases ahead; the first fault of structure (by id) is raised."""
    # The slices of one volume share its file. Fingerprints are needed as soon as one group is to be inferred.
    decoder = _Decoder(cache(digest_path), any(case.group is None for case in cases), kept)
    if workers == 0:
        for case in cases:
            yield case, decoder(case)
        return
    waiting: deque[tuple[Case, Future[Ready | Unreadable]]] = deque()
    with ThreadPoolExecutor(max_workers=min(workers, os.cpu_count() or 1)) as pool:
        try:
            for case in cases:
                waiting.append((case, pool.submit(decoder, case)))
                if len(waiting) > 2 * workers:
                    done, future = waiting.popleft()
                    yield done, future.result()
            # One by one, so that what was handed over can be let go of.
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Decoder:
    digest: Callable[[Path], str]
    printed: bool
    kept: Kept

    def __call__(self, case: Case) -> Ready | Unreadable:
        try:
            files = tuple(self._digest(path) for path in case.sources)
            decoded = self._decode(case, digest_values(list(files)))
        except Unreadable as error:
            return error
        own = fingerprint(decoded.arrays[case.near_duplicate_of]) if self.printed else None
        return Ready(decoded, files, own)

    def _digest(self, path: Path) -> str:
        try:
            return self.digest(path)
        except OSError as error:
            raise Unreadable(f"cannot be read: {error.strerror}", where=path) from error

    def _decode(self, case: Case, sources: str) -> Decoded:
        key = case.resume_key
        known = None if key is None else self.kept.get(case.id, key, sources)
        if known is not None:
            return known
        decoded = Decoded.of(case.load())
        for name, array in decoded.arrays.items():
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise Unreadable(f"gives NaN or infinite values in {name!r}", where=case.sources[0])
        if key is not None:
            self.kept.put(case.id, key, sources, decoded)
        return decoded
