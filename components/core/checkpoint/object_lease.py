"""The lease of an S3 prefix: an object that its holder renews from a thread of its own.

A holder that cannot reach the store keeps trying: as long as nobody else has taken the lease it is still its own, and
LATEST's If-Match fences out whichever of two writers lost it.
"""

import dataclasses
import logging
import threading
import time

from components.core.checkpoint.claim import KEY, LIMIT, Claim, decode_claim
from components.core.checkpoint.identity import fate
from components.core.errors import BadInput, Temporary, ThawError
from components.core.store import Conflict, Entry, NotFound, Store, Versioned

log = logging.getLogger(__name__)

_CLOCK = 1.0
"""Resolution of the store's clock, seconds."""


class ObjectLease:
    """Holds a prefix from construction until `release`.

    A claim is taken over at once if it was released or its process, on this host, is dead; otherwise only when it has
    not been renewed for its time to live, for which this waits.

    Args:
        store: Opened at the run's address.
        ttl: Seconds. Renewed three times as often.

    Raises:
        Conflict: The holder renewed its lease, or lives on this host; the error names it.
    """

    def __init__(self, store: Store, ttl: float) -> None:
        self._store = store
        self._where = f"{store.uri}/{KEY}"
        self._claim = Claim(ttl=float(ttl))
        self._conditional = store.conditional_writes()
        self._lost: ThawError | None = None
        self._stop = threading.Event()
        self._version = self._acquire()
        self._thread = threading.Thread(target=self._renew, name="thaw-lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises Conflict once another writer has taken the lease, BadInput where renewing it is denied."""
        if self._lost is not None:
            raise self._lost

    def release(self) -> None:
        """Give the lease up, so that the next writer need not wait."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join()
        if self._lost is None:
            try:
                self._write(dataclasses.replace(self._claim, released=True))
            except ThawError as error:
                log.warning("the lease was not released and will expire: %s", error)
        self._lost = Conflict("the lease was released", where=self._where, remedy="take a new one")

    def _acquire(self) -> str:
        found = self._read()
        if found is None:
            return self._first()
        claim = self._decoded(found)
        if claim is not None and not claim.released:
            self._wait_until_free(claim, found.version)
        return self._taken(found.version)

    def _first(self) -> str:
        data = self._claim.encode()
        if not self._conditional:
            return self._taken("")
        return self._store.put_if_absent(KEY, data)

    def _taken(self, version: str) -> str:
        """Write our claim over one that is free. Two that do so at once: the second is refused."""
        data = self._claim.encode()
        if self._conditional:
            return self._store.put_if_match(KEY, data, version)
        self._store.put(KEY, data)
        time.sleep(min(1.0, self._claim.ttl / 3))  # the last of several writers stays; give them time to have written
        found = self._read()
        if found is None or found.data != data:
            other = self._decoded(found) if found is not None else None
            raise (other or Claim()).held(self._where)
        return found.version

    def _wait_until_free(self, claim: Claim, version: str) -> None:
        """Return when the holder is dead, by the process table, the store's clock or our own."""
        condition = fate(claim.owner)
        if condition == "dead":
            return
        if condition == "alive":
            raise claim.held(self._where)
        until = time.monotonic() + claim.ttl
        announced = False
        while time.monotonic() < until:
            entry = self._entry()
            if entry is None or entry.version != version:
                raise self._current(claim).held(self._where)
            if entry.age > claim.ttl + _CLOCK:
                return
            if not announced:
                log.warning("waiting up to %.0f s for the lease of %s to expire", claim.ttl, claim.owner)
                announced = True
            time.sleep(min(claim.ttl / 10, 2.0))

    def _current(self, before: Claim) -> Claim:
        found = self._read()
        claim = self._decoded(found) if found is not None else None
        return claim or before

    def _renew(self) -> None:
        while not self._stop.wait(self._claim.ttl / 3):
            try:
                self._write(dataclasses.replace(self._claim, renewals=self._claim.renewals + 1))
            except Temporary as error:
                log.warning("cannot renew the lease now: %s", error)
            except (Conflict, BadInput) as error:
                log.error("the lease is lost: %s", error)
                self._lost = error
                return

    def _write(self, claim: Claim) -> None:
        data = claim.encode()
        if self._conditional:
            self._version = self._store.put_if_match(KEY, data, self._version)
        else:
            self._still_ours()
            self._version = self._store.put(KEY, data)
        self._claim = claim

    def _still_ours(self) -> None:
        found = self._read()
        claim = self._decoded(found) if found is not None else None
        if claim is None or claim.token != self._claim.token:
            raise (claim or Claim()).held(self._where)

    def _read(self) -> Versioned | None:
        try:
            return self._store.get_versioned(KEY, limit=LIMIT)
        except NotFound:
            return None

    def _entry(self) -> Entry | None:
        try:
            return self._store.head(KEY)
        except NotFound:
            return None

    def _decoded(self, found: Versioned) -> Claim | None:
        """None for a damaged lease: it names nobody who could be asked, and does not last."""
        try:
            return decode_claim(found.data, self._where)
        except BadInput as error:
            log.warning("taking over a lease that cannot be read: %s", error)
            return None
