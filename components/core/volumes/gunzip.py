"""Compressed streams into buffers of the size that a header declares: never more, never less, checksum verified."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from isal import isal_zlib
from jaxtyping import UInt8

from components.core.data.quarantine import Unreadable

CHUNK = 1 << 18
"""Compressed bytes read at once: they and what comes of them stay in the processor's cache."""

PIECE = 1 << 20
DAMAGED: Any = isal_zlib.error
"""What a damaged stream raises; the stubs take the class for an instance."""

GZIP, ZLIB = 31, 15
"""Window bits of the two wrappers."""


def read_into(stream: IO[bytes], buffer: UInt8[np.ndarray, " n"]) -> int:
    """Read as many bytes as a buffer holds, or as there are. Returns their number."""
    view, filled = memoryview(buffer.data), 0
    while filled < len(buffer):
        piece = stream.read(min(PIECE, len(buffer) - filled))
        if not piece:
            break
        view[filled : filled + len(piece)] = piece
        filled += len(piece)
    return filled


class Inflater:
    """A compressed stream, read in pieces of any size.

    Args:
        stream: Positioned at the first compressed byte.
        wrapper: GZIP (several members may follow each other) or ZLIB.
        path: For errors.
    """

    def __init__(self, stream: IO[bytes], wrapper: int, path: Path) -> None:
        self._stream = stream
        self._wrapper = wrapper
        self._path = path
        self._inflate: Any = isal_zlib.decompressobj(wbits=wrapper)
        self._waiting = b""

    def read(self, count: int) -> bytes:
        """The next bytes, `count` of them.

        Raises:
            Unreadable: The stream ends before, or is damaged.
        """
        pieces = b"".join(self._pieces(count))
        if len(pieces) < count:
            raise Unreadable("is truncated: the compressed data end too early", where=self._path)
        return pieces

    def fill(self, buffer: UInt8[np.ndarray, " n"]) -> None:
        """Fill a buffer, and make sure that the stream ends there and its checksum holds.

        Raises:
            Unreadable: The stream is shorter or longer, or damaged.
        """
        view, filled = memoryview(buffer.data), 0
        for piece in self._pieces(len(buffer)):
            view[filled : filled + len(piece)] = piece
            filled += len(piece)
        if filled < len(buffer):
            raise Unreadable(f"is truncated: it holds {filled} of {len(buffer)} bytes of voxels", where=self._path)
        if any(self._pieces(1)):  # reads up to the checksum, which follows the last byte
            raise Unreadable(f"holds more than the {len(buffer)} bytes that its header declares", where=self._path)

    def _pieces(self, count: int) -> Iterator[bytes]:
        left = count
        while left:
            if not self._waiting:
                self._waiting = self._stream.read(CHUNK)
            if not self._waiting and not self._more():
                return
            piece = self._step(min(PIECE, left))
            left -= len(piece)
            if piece:
                yield piece
            elif self._inflate.eof and not self._next_member():
                return

    def _more(self) -> bool:
        """Nothing is left to read: was that the end of a whole member?"""
        if not self._inflate.eof:
            raise Unreadable("is truncated: the compressed data end too early", where=self._path)
        return False

    def _step(self, limit: int) -> bytes:
        if self._inflate.eof:
            return b""
        try:
            piece: bytes = self._inflate.decompress(self._waiting, limit)
        except DAMAGED as error:
            raise Unreadable(f"is damaged: {error}", where=self._path) from error
        self._waiting = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        return piece

    def _next_member(self) -> bool:
        """Begin the next gzip member, if one follows; padding with zeros may stand between."""
        while self._wrapper == GZIP:
            self._waiting = self._waiting.lstrip(b"\0") or self._stream.read(CHUNK)
            if not self._waiting:
                return False
            if self._waiting[0]:
                self._inflate = isal_zlib.decompressobj(wbits=GZIP)
                return True
        return False
