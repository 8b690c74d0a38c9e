"""Files that a crash leaves whole: temporary file, fsync, rename or link, fsync of the folder."""

import errno
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from components.core.errors import BadInput, Temporary

TEMPORARY = ".unfinished-"
"""How the names of files start that are not yet, or never were, finished."""

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NUMBER = re.compile(r"\(os error (\d+)\)")
"""How safetensors quotes the operating system."""


class LinksUnsupported(Exception):
    """The file system knows no hard links."""


def make_folder(path: Path) -> None:
    """Create a folder and its parents, and make their names durable."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def replace(path: Path, data: bytes) -> os.stat_result:
    """Write a file, replacing what is there. Returns the file's status."""
    partial, status = _write_partial(path.parent, data)
    try:
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return status


def create(path: Path, data: bytes) -> os.stat_result:
    """Write a file that must not exist.

    Raises:
        FileExistsError: It does.
        LinksUnsupported: The file system cannot promise this.
    """
    partial, status = _write_partial(path.parent, data)
    try:
        os.link(partial, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise LinksUnsupported from error
        raise
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)
    return status


def _write_partial(folder: Path, data: bytes) -> tuple[Path, os.stat_result]:
    make_folder(folder)
    partial = folder / f"{TEMPORARY}{uuid.uuid4().hex}"
    try:
        with partial.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
            return partial, os.fstat(stream.fileno())
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an error that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            raise Temporary(f"no room left: {reason}", where=str(path), remedy="free disk space") from error
        if error.errno in {errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EMFILE, errno.ENFILE}:
            raise Temporary(f"the file system failed: {reason}", where=str(path), remedy="try again") from error
        raise BadInput(
            f"cannot use this path: {reason}", where=str(path), remedy="check the folder and its permissions"
        ) from error


@contextmanager
def full_disk_explained(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk, met by whatever was writing, into an error that says so; others pass."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        number = error.errno if isinstance(error, OSError) else _quoted(error)
        if number in _FULL | {errno.EROFS}:
            with explained(path):
                raise OSError(number, os.strerror(number)) from error
        raise


def _quoted(error: SafetensorError) -> int:
    found = _NUMBER.search(str(error))
    return int(found[1]) if found else 0
