"""The checkpoints of one run: opened, resumed from, written in the background, closed."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, TypeVar

from torch import Tensor

from components.core.checkpoint.codec import decode_tensors, encode_tensors
from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.failures import refuse_failed
from components.core.checkpoint.lease import hold
from components.core.checkpoint.repository import Checkpoints
from components.core.checkpoint.uploader import Uploader
from components.core.engine.ranks import Ranks
from components.core.engine.snapshot import Groups
from components.core.engine.step import NonFinite, OutOfMemory
from components.core.errors import BadInput, Temporary
from components.core.identity import Identity, require_exact, require_same
from components.core.runtime import Runtime
from components.core.store import open_store
from components.core.store.retry import Retrying
from components.core.tracking.tracker import STORE, Tracker

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Found:
    """An unfinished run's newest valid checkpoint."""

    groups: Mapping[str, Mapping[str, Tensor]]
    meta: Mapping[str, Any]
    inexact: list[str]


class Saver:
    """Owns the checkpoints of a run while it trains.

    On entry it takes the lease of the run's prefix and claims it, which tries a write; on exit it flushes what is
    under way and gives the lease back. A checkpoint of other code, values or inputs, or of more epochs than configured
    and asked for, stops the run if it is unfinished, and is discarded if the run that wrote it had finished. A run
    that is extended by more epochs than before goes on.

    Args:
        ranks: The processes that train together. The first one alone has the lease, reads and writes; the others hear
            from it what to continue from.
    """

    def __init__(
        self, uri: str, runtime: Runtime, identity: Identity, tracker: Tracker, ranks: Ranks | None = None
    ) -> None:
        self._uri = uri
        self._runtime = runtime
        self._identity = identity
        self._tracker = tracker
        self._ranks = ranks or Ranks()
        self._store = open_store(uri)
        self._asked = threading.Event()
        self._permanent: BaseException | None = None
        self._open = ExitStack()

    def __enter__(self) -> "Saver":
        settings = self._runtime.checkpoints
        with ExitStack() as stack:
            if self._ranks.first:
                lease = stack.enter_context(hold(self._store, ttl=settings.lease_seconds))
                self._checkpoints = Checkpoints(
                    self._store, keep_last=settings.keep_last, lease=lease, on_saved=self._tracker.checkpoint_saved
                )
                # Now, not at the first checkpoint: a store that takes no writes is told at once.
                self._checkpoints.claim()
                self._uploader = stack.enter_context(Uploader(self._checkpoints))
            if threading.current_thread() is threading.main_thread():
                stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, self._ask))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, NonFinite):
                self._tracker.nonfinite()
            if error is not None and error is self._permanent and self._ranks.first:
                self._uploader.flush()
                self._checkpoints.mark_failed(self._identity.digest, str(error))
        finally:
            try:
                self._open.__exit__(kind, error, trace)
            finally:
                self._tell_retries()

    def _tell_retries(self) -> None:
        if isinstance(self._store, Retrying) and (times := self._store.retry.since_asked()):
            self._tracker.retried(STORE, times)

    @contextmanager
    def judged(self) -> Iterator[None]:
        """Training itself, which is a function of the run's identity: what it refuses, it refuses again.

        Such an error is recorded when the checkpoints close, so that a retry of the same run stops at once. Errors of
        the store belong outside: they depend on the place, and so does another writer (`Conflict`).
        """
        try:
            yield
        except (NonFinite, OutOfMemory, BadInput) as error:
            self._permanent = error
            raise

    def judging(self, steps: Iterator[T]) -> Iterator[T]:
        """The same for an iterator: its own errors, not those of the loop over it."""
        with self.judged():
            yield from steps

    def newest(self, environment: Mapping[str, str]) -> Found | None:
        """The checkpoint to continue from, after making sure that it is this run's: the same in every process."""
        found = self._find(environment) if self._ranks.first else None
        return found if self._ranks.size == 1 else self._spread(found)

    def _spread(self, found: Found | None) -> Found | None:
        """What the first process has found, to all: the others need not reach its store."""
        plain = found and {"meta": found.meta, "inexact": found.inexact, "groups": sorted(found.groups)}
        data = self._ranks.spread(encode_document(plain) if plain else None)
        if not data:
            return None
        told = decode_document(data, self._uri)
        groups = found.groups if found else {}
        spread = {name: self._ranks.spread(encode_tensors(groups[name]) if found else None) for name in told["groups"]}
        if found is not None:
            return found
        return Found(
            {name: decode_tensors(data, self._uri) for name, data in spread.items()}, told["meta"], told["inexact"]
        )

    def _find(self, environment: Mapping[str, str]) -> Found | None:
        if self._runtime.restart:
            self._checkpoints.clear()
            return None
        refuse_failed(self._store, self._identity.digest)
        checkpoint = self._checkpoints.load_newest()
        if checkpoint is None:
            return None
        extended = checkpoint.meta.get("extended", 0)
        longer = extended > self._runtime.extend_epochs
        if checkpoint.meta["finished"] and (longer or checkpoint.meta["identity"] != self._identity.dump()):
            log.info("%s holds a finished run of something else: starting anew", self._uri)
            self._checkpoints.clear()
            return None
        require_same(self._identity, checkpoint.meta["identity"], self._uri)
        if longer:
            raise BadInput(
                f"the unfinished training is extended by {extended} epochs, this run by {self._runtime.extend_epochs}",
                where=self._uri,
                remedy=f"finish it with --extend-epochs {extended}, or --restart to discard it",
            )
        allow = self._runtime.allow_inexact
        inexact = require_exact(environment, checkpoint.meta["environment"], allow)
        return Found(checkpoint.tensors, checkpoint.meta, [*checkpoint.meta["inexact"], *inexact])

    def due(self, step: int) -> bool:
        """Is a checkpoint due after this step?"""
        every = self._runtime.checkpoints.every_steps
        return every > 0 and step % every == 0

    def save(self, step: int, groups: Groups, meta: Mapping[str, Any], epoch: int | None = None) -> None:
        """Commit a checkpoint in the background; waits only for a copy of the tensors."""
        if not self._ranks.first:
            return
        tags = []
        every = self._runtime.checkpoints.keep_every_epochs
        if epoch is not None and every and epoch % every == 0:
            tags.append(f"epoch-{epoch}")
        self._uploader.submit(step, groups, {**meta, "identity": self._identity.dump()}, tags=tags)
        self._tell_retries()

    def stop_if_asked(self, step: int, capture: Callable[[], Groups], meta: Callable[[], Mapping[str, Any]]) -> None:
        """After SIGTERM: save what there is and end, to be started again. Best effort; kills come unannounced.

        Asking one of several processes asks all of them, which end after the same step.
        """
        if not self._ranks.any(self._asked.is_set()):
            return
        began = time.monotonic()
        self.save(step, capture(), meta())
        if self._ranks.first:
            self._uploader.flush()
            log.info("saved step %d in %.1f s", step, time.monotonic() - began)
        self._ranks.wait()
        raise Temporary("stopped on request", where=self._uri, remedy="run the same command again to continue")

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._asked.set()
