"""Checkpoints of one run in a store.

Layout: `blobs/<sha256>` (a tensor group each), `manifests/<attempt>-<sequence>-step<step>-<digest>`, `LATEST`,
`failed.json`. Order of a commit: blobs, then the immutable manifest, then LATEST; whatever is cut off before the last
step leaves the checkpoint before it in place.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from torch import Tensor

from components.core.checkpoint.codec import decode_tensors, encode_tensors
from components.core.checkpoint.failures import Failure, failed, mark_failed
from components.core.checkpoint.identity import this_process
from components.core.checkpoint.latest import KEY, Latest, read_latest
from components.core.checkpoint.manifest import (
    BLOBS,
    FOLDER,
    Blob,
    Damaged,
    Manifest,
    attempt_of,
    names,
    read_blob,
    read_manifest,
)
from components.core.checkpoint.retention import prune
from components.core.digest import digest_bytes
from components.core.errors import BadInput, Temporary
from components.core.store import Store

log = logging.getLogger(__name__)

GRACE = 600.0
"""Seconds for which a blob without a manifest may still be waiting for it."""

Saved = Callable[[float, int], None]
"""Called after each commit with the seconds it took and the bytes it wrote."""


class Held(Protocol):
    """What a repository asks of the writer's lease."""

    def check(self) -> None:
        """Raise Conflict if another writer has taken it."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose digests were verified.

    Attributes:
        name: To load it again.
        step: Optimiser step.
        tensors: CPU tensors by group and name.
        meta: What was saved beside them; tuples have become lists.
        tags: Why it is kept.
    """

    name: str
    step: int
    tensors: dict[str, dict[str, Tensor]]
    meta: Mapping[str, Any]
    tags: tuple[str, ...]


class Checkpoints:
    """The checkpoints below one store's address, which is one run's own. Not for two threads at a time.

    Args:
        store: Opened at the run's address.
        lease: Asked before every commit whether this process still is the writer.
        keep_last: Newest checkpoints to keep, besides the newest of every tag.
        grace: Seconds before a blob without a manifest, or an unfinished write, is taken for abandoned.
        on_saved: Called after each commit, on the committing thread.
    """

    def __init__(
        self,
        store: Store,
        *,
        lease: Held | None = None,
        keep_last: int = 2,
        grace: float = GRACE,
        on_saved: Saved | None = None,
    ) -> None:
        self.store = store
        self.on_saved = on_saved
        self._lease = lease
        self._keep_last = keep_last
        self._grace = grace
        self._latest: Latest | None = None
        self._attempt = 0
        self._sequence = 0
        self._parent: str | None = None
        self._sound: set[str] = set()  # digests that this process has written or verified
        self._broken: set[str] = set()  # names of checkpoints that did not load
        self._known: dict[str, Manifest] = {}

    def claim(self) -> None:
        """Become the writer: every earlier one's next commit fails. The first `save` does it where nobody has.

        Raises:
            Conflict: Another writer claims at this moment.
        """
        self._claimed()

    def _claimed(self) -> Latest:
        if self._latest is not None:
            return self._latest
        try:
            self.store.tidy(self._grace)
        except BadInput as error:  # listing uploads is a right of its own; saving does not need it
            log.warning("cannot remove unfinished writes: %s", error)
        pointer = read_latest(self.store)
        seen = [attempt_of(name) or 0 for name in names(self.store)]
        self._attempt = max([pointer.attempt, *seen]) + 1
        self._latest = Latest(self.store, self._attempt, pointer)
        return self._latest

    def save(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, Tensor]],
        meta: Mapping[str, Any],
        tags: Sequence[str] = (),
    ) -> str:
        """Commit a checkpoint; it is durable when this returns.

        Args:
            step: Optimiser step.
            tensors: Tensors by group and name. A group whose content is in the store already is not kept twice.
            meta: Plain values, non-finite floats included.
            tags: `best`, `epoch-10` ...: the newest checkpoint of each tag is kept.

        Returns:
            The checkpoint's name.

        Raises:
            Conflict: Another writer has taken over.
            BadInput: Values that cannot be written.
            Temporary: The store does not answer; the checkpoint before stays the newest.
        """
        started = time.monotonic()
        latest = self._claimed()
        if self._lease is not None:
            self._lease.check()
        groups: dict[str, Blob] = {}
        written = 0
        for name in sorted(tensors):
            groups[name], size = self._put(encode_tensors(tensors[name]))
            written += size
        manifest = self._manifest(step, groups, meta, tags)
        name, size = self._commit(latest, manifest)
        if self.on_saved is not None:
            self.on_saved(time.monotonic() - started, written + size)
        self._prune(name)
        return name

    def _put(self, data: bytes) -> tuple[Blob, int]:
        blob = Blob(digest_bytes(data), len(data))
        if blob.digest in self._sound:
            return blob, 0
        self.store.put(blob.key, data)  # even over an object of this name: that one may be damaged
        self._sound.add(blob.digest)
        return blob, len(data)

    def _manifest(
        self, step: int, groups: Mapping[str, Blob], meta: Mapping[str, Any], tags: Sequence[str]
    ) -> Manifest:
        return Manifest(
            attempt=self._attempt,
            sequence=self._sequence + 1,
            step=step,
            created=datetime.now(tz=UTC).isoformat(timespec="milliseconds"),
            writer=str(this_process()),
            parent=self._parent,
            tags=tuple(tags),
            groups=groups,
            meta=meta,
        )

    def _commit(self, latest: Latest, manifest: Manifest) -> tuple[str, int]:
        name, data = manifest.encode()
        if self.store.conditional_writes():
            self.store.put_if_absent(FOLDER + name, data)
        else:
            self.store.put(FOLDER + name, data)
        latest.move(name)
        self._sequence = manifest.sequence
        self._parent, self._known[name] = name, manifest
        return name, len(data)

    def _prune(self, newest: str) -> None:
        try:
            self._sound -= prune(
                self.store,
                self._known,
                keep_last=self._keep_last,
                grace=self._grace,
                newest=newest,
                broken=self._broken,
                own=self._sound,
            )
        except Temporary as error:  # the checkpoint is safe; the next one prunes again
            log.warning("cannot delete old checkpoints now: %s", error)

    def load_newest(self) -> Checkpoint | None:
        """Load the newest checkpoint that is whole; each damaged one on the way is logged.

        Returns:
            None where there is none at all.

        Raises:
            BadInput: There are checkpoints, and all are damaged.
        """
        pointed = read_latest(self.store).name
        older = [name for name in reversed(names(self.store)) if name != pointed]
        candidates = [pointed, *older] if pointed else older
        for name in candidates:
            try:
                return self.load(name)
            except Damaged as error:
                log.warning("checkpoint %s cannot be used, trying the one before it: %s", name, error)
        if not candidates:
            return None
        raise BadInput(
            f"none of the {len(candidates)} checkpoints is whole",
            where=self.store.uri,
            remedy="restore the store from a backup, or start over with --restart",
        )

    def load(self, name: str) -> Checkpoint:
        """Load a checkpoint by name.

        Raises:
            Damaged: It is missing, or not what was committed.
        """
        tensors = {}
        try:
            manifest = read_manifest(self.store, name)
            for group, blob in manifest.groups.items():
                tensors[group] = decode_tensors(read_blob(self.store, blob), f"{self.store.uri}/{blob.key}")
        except Damaged:
            self._broken.add(name)
            raise
        self._sound |= {blob.digest for blob in manifest.groups.values()}
        self._parent = name
        return Checkpoint(name, manifest.step, tensors, manifest.meta, manifest.tags)

    def names(self) -> list[str]:
        """Names of all checkpoints, oldest first, damaged ones included."""
        return names(self.store)

    def clear(self) -> None:
        """Delete every checkpoint and the mark of failure: what `--restart` means. Stops other writers' commits."""
        for key in (KEY, *(entry.key for entry in (*self.store.list(FOLDER), *self.store.list(BLOBS)))):
            self.store.delete(key)
        mark_failed(self.store, None)
        self._latest, self._parent = None, None
        self._sound, self._broken, self._known = set(), set(), {}

    def mark_failed(self, digest: str, reason: str) -> None:
        """Record that the run of this digest fails however often it is tried."""
        mark_failed(self.store, Failure(digest, reason))

    def failed(self) -> Failure | None:
        """The failure recorded last."""
        return failed(self.store)
