"""Locks of the operating system on a file: the kernel lets go of them when their holder dies, however it dies."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.core.errors import BadInput
from components.core.store.durable import make_folder

_TAKEN = {errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK}


class Taken(Exception):
    """Somebody else holds the lock."""


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold the lock on a file, which is created and stays.

    It excludes other processes and other threads of this one alike.

    Raises:
        Taken: It is held, and `wait` is false.
        BadInput: The file system knows no locks.
    """
    descriptor = acquire(path, wait=wait)
    try:
        yield
    finally:
        os.close(descriptor)


def acquire(path: Path, *, wait: bool) -> int:
    """Like `locked`; the lock is held until the descriptor returned is closed."""
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError) and error.errno in _TAKEN:
            raise Taken from error
        if isinstance(error, OSError):
            raise BadInput(
                f"this file system knows no locks: {error.strerror}",
                where=str(path),
                remedy="use a local folder, a volume with locks, or an s3:// address",
            ) from error
        raise
    return descriptor
