"""Pickle is refused: reading one runs whatever program its author wrote."""

import zipfile
from pathlib import Path

from components.core.errors import BadInput

_SUFFIXES = {".pth", ".pt", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".tar"}
_MAGIC = {
    b"PK\x03\x04": "a zip archive, as torch.save writes them",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
    b"\x1f\x8b": "a gzip file",
}
_REMEDY = "convert it once with `thaw import`, which reads tensors and nothing else from it"


def refuse_foreign(head: bytes, where: str) -> None:
    """Look at how a file starts.

    Args:
        head: Its first bytes, 16 or more where there are as many.
        where: Its address, for the error.

    Raises:
        BadInput: It is a pickle or another foreign format.
    """
    if _is_safetensors(head):
        return
    kind = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if kind is None and _is_pickle(head):
        kind = "a pickle"
    if kind:
        raise BadInput(f"not a checkpoint of Thaw but {kind}", where=where, remedy=_REMEDY)


def _is_safetensors(head: bytes) -> bool:
    """A length of at most 100 MB and an opening brace; the length's first byte may look like any other format's."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= 100_000_000


def _is_pickle(head: bytes) -> bool:
    """Protocols 2 to 5 start with 0x80 and their number; 0 and 1 with an opcode of a container, string or class."""
    if len(head) >= 2 and head[0] == 0x80:
        return 2 <= head[1] <= 5
    return head[:1] in {b"(", b"]", b"}", b"c"} or head[:2] in {b"S'", b'S"'}


def refuse_foreign_file(path: Path) -> None:
    """Like `refuse_foreign`, and by the file's name where its content says nothing.

    Raises:
        BadInput: It is foreign, or there is no such file.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise BadInput(f"cannot read the file: {error.strerror}", where=str(path), remedy="check the path") from error
    refuse_foreign(head, str(path))
    if path.suffix.lower() in _SUFFIXES or zipfile.is_zipfile(path):
        raise BadInput(f"not a checkpoint of Thaw but a {path.suffix} file", where=str(path), remedy=_REMEDY)
