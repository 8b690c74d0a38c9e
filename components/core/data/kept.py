"""Decoded cases of an unfinished `prepare`, kept beside its output so that a killed one need not decode them again."""

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from components.core.config import Values
from components.core.data.card import VolumeFacts
from components.core.data.case import Decoded
from components.core.digest import digest_bytes, digest_values

ENDING = ".case"


class _Facts(Values):
    """What is known of a case beside its arrays."""

    attributes: dict[str, str | int | float]
    volume: VolumeFacts | None


class Kept:
    """A folder of decoded cases, one file each: written whole, verified when read.

    A file holds three lines: the digest of the two others, the facts as JSON, the arrays as safetensors.

    Args:
        folder: Where. Created with the first case.
        context: What decides all results alike (code, settings): what another context left there is removed.
    """

    def __init__(self, folder: Path, context: str) -> None:
        self._folder = folder
        self._own = folder / context
        if folder.is_dir():
            for other in folder.iterdir():
                if other != self._own:
                    shutil.rmtree(other)

    def __len__(self) -> int:
        return len(list(self._own.glob(f"*{ENDING}")))

    def get(self, case: str, key: str, sources: str) -> Decoded | None:
        """What `put` was given; None if there is nothing, or it is damaged.

        Args:
            case: Its id.
            key: What else its result depends on (`RawCase.resume_key`).
            sources: Digest of the files that it is made of.
        """
        path = self._path(case, key, sources)
        if not path.is_file():
            return None
        digest, _, written = path.read_bytes().partition(b"\n")
        if digest != digest_bytes(written).encode():
            return None
        text, _, arrays = written.partition(b"\n")
        facts = _Facts.model_validate_json(text)
        return Decoded(load(arrays), facts.attributes, facts.volume)

    def put(self, case: str, key: str, sources: str, decoded: Decoded) -> None:
        """Keep a decoded case.

        A kill leaves the file whole or not there. It is not forced onto the disk: after a power cut its digest tells
        whether it got there, and waiting for a busy disk would cost more than decoding again.
        """
        facts = _Facts(attributes=dict(decoded.attributes), volume=decoded.volume)
        arrays = save({name: np.ascontiguousarray(array) for name, array in decoded.arrays.items()})
        written = facts.model_dump_json().encode() + b"\n" + arrays
        path = self._path(case, key, sources)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".unfinished")
        partial.write_bytes(digest_bytes(written).encode() + b"\n" + written)
        partial.replace(path)

    def discard(self) -> None:
        """Remove everything: the dataset is finished, or nobody wants it."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, case: str, key: str, sources: str) -> Path:
        return self._own / f"{digest_values([case, key, sources])}{ENDING}"
