"""`LATEST`: the one object of a run that changes, and so the one that tells its writers apart."""

import logging
import uuid
from dataclasses import dataclass
from typing import Any

from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.identity import this_process
from components.core.checkpoint.manifest import attempt_of
from components.core.errors import BadInput
from components.core.store import NotFound, Store

KEY = "LATEST"
_LIMIT = 1 << 16

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pointer:
    """What LATEST says.

    Attributes:
        name: Newest committed checkpoint; None before the first.
        attempt: The writer that wrote it, or that announced itself and has not committed yet.
        version: Version of the object; None where there is none.
    """

    name: str | None
    attempt: int
    version: str | None


def read_latest(store: Store) -> Pointer:
    """Read LATEST; a damaged one is reported, and counts as saying nothing."""
    try:
        found = store.get_versioned(KEY, limit=_LIMIT)
    except NotFound:
        return Pointer(None, 0, None)
    try:
        values = decode_document(found.data, f"{store.uri}/{KEY}")
    except BadInput as error:
        log.warning("LATEST is damaged, looking for the newest checkpoint without it: %s", error)
        return Pointer(None, 0, found.version)
    name, attempt = values.get("name"), values.get("attempt")
    known = isinstance(name, str) and attempt_of(name) is not None
    return Pointer(name if known else None, attempt if isinstance(attempt, int) else 0, found.version)


class Latest:
    """One writer's hold on LATEST.

    Announcing a new attempt changes the object, so every earlier writer's next update fails: If-Match is the
    fence. Where the backend knows no conditions LATEST is not written, and the newest checkpoint is the one with
    the greatest attempt and sequence in its name.
    """

    def __init__(self, store: Store, attempt: int, pointer: Pointer) -> None:
        self._store = store
        self._attempt = attempt
        self._session = uuid.uuid4().hex
        self._version = pointer.version
        self.move(pointer.name)

    def move(self, name: str | None) -> None:
        """Point at a checkpoint. Raises Conflict, naming it, if another writer did so meanwhile."""
        if not self._store.conditional_writes():
            return
        data = encode_document(self._values(name))
        if self._version is None:
            self._version = self._store.put_if_absent(KEY, data)
        else:
            self._version = self._store.put_if_match(KEY, data, self._version)

    def _values(self, name: str | None) -> dict[str, Any]:
        writer = str(this_process())
        return {"name": name, "attempt": self._attempt, "session": self._session, "writer": writer}
