"""The lease of a folder: a lock that the kernel lets go of when its holder dies, by `kill -9` too."""

import os
import time
from pathlib import Path

from components.core.checkpoint.claim import KEY, LIMIT, Claim, decode_claim
from components.core.errors import BadInput
from components.core.store import Conflict, NotFound
from components.core.store.local import LocalStore
from components.core.store.locking import Taken, acquire

LOCK = ".lease.lock"
_NAMING_SECONDS = 0.5


class FolderLease:
    """Holds a folder from construction until `release`.

    Raises:
        Conflict: Another live process (or another part of this one) holds it; the error names it.
    """

    def __init__(self, store: LocalStore) -> None:
        self._store = store
        self._path: Path = store.root / LOCK
        try:
            self._descriptor: int | None = acquire(self._path, wait=False)
        except Taken:
            raise _held(store) from None
        store.put(KEY, Claim().encode())

    def check(self) -> None:
        """The kernel takes the lock from no living process."""
        if self._descriptor is None:
            raise Conflict("the lease was released", where=str(self._path), remedy="take a new one")

    def release(self) -> None:
        if self._descriptor is not None:
            self._store.delete(KEY)
            os.close(self._descriptor)
            self._descriptor = None


def _held(store: LocalStore) -> Conflict:
    """Name the holder; it writes its name just after it has the lock."""
    where = f"{store.uri}/{KEY}"
    until = time.monotonic() + _NAMING_SECONDS
    while True:
        try:
            return decode_claim(store.get(KEY, limit=LIMIT), where).held(where)
        except (NotFound, BadInput) as error:
            if time.monotonic() > until:
                unnamed = Conflict("another run is writing here", where=where, remedy="wait for it or stop it")
                unnamed.__cause__ = error
                return unnamed
            time.sleep(0.02)
