"""Writing files so that they are there whole or not at all, and reading files of bounded size."""

from pathlib import Path

from components.core.errors import BadInput
from components.core.store import durable

MAX_TEXT_BYTES = 512 << 20


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically and durably."""
    durable.replace(path, text.encode())


def read_text(path: Path) -> str:
    """Read a UTF-8 text file of at most 512 MiB (a byte order mark is dropped).

    Raises:
        BadInput: It is missing, larger, or not UTF-8.
    """
    try:
        if path.stat().st_size > MAX_TEXT_BYTES:
            raise BadInput(f"larger than {MAX_TEXT_BYTES} bytes", where=str(path), remedy="split the file")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=str(path), remedy="check the path") from error
    except UnicodeDecodeError as error:
        raise BadInput("is not UTF-8 text", where=str(path), remedy="save it as UTF-8") from error
