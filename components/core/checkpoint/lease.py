"""One live writer per run, whatever the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from components.core.checkpoint.folder_lease import FolderLease
from components.core.checkpoint.object_lease import ObjectLease
from components.core.store import Store
from components.core.store.local import LocalStore


class Lease(Protocol):
    """The right to write checkpoints below one address."""

    def check(self) -> None:
        """Raise Conflict if another writer has taken it."""

    def release(self) -> None:
        """Give it up."""


@contextmanager
def hold(store: Store, *, ttl: float = 30.0) -> Iterator[Lease]:
    """Be the one writer of a run.

    Args:
        store: Opened at the run's address.
        ttl: Seconds without renewal after which a writer on another host is taken for dead. A folder's lock needs
            none.

    Raises:
        Conflict: Another writer is alive; the error says which, where and since when.
    """
    lease: Lease = FolderLease(store) if isinstance(store, LocalStore) else ObjectLease(store, ttl)
    try:
        yield lease
    finally:
        lease.release()
