"""Checkpoints in the background: the step loop waits for one copy in memory."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from torch import Tensor

from components.core.checkpoint.codec import snapshot
from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.repository import Checkpoints


@dataclass(frozen=True)
class _Snapshot:
    step: int
    tensors: dict[str, dict[str, Tensor]]
    meta: Mapping[str, Any]
    tags: tuple[str, ...]


class Uploader:
    """Commits snapshots on a thread of its own, one at a time.

    At most one snapshot is in memory: `submit` waits until the one before is committed. An error of the thread is
    raised by the next call, once; the thread commits nothing after it.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._changed = threading.Condition()
        self._pending: _Snapshot | None = None
        self._error: BaseException | None = None
        self._failed = False
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="thaw-uploader", daemon=True)
        self._thread.start()

    def submit(
        self,
        step: int,
        tensors: Mapping[str, Mapping[str, Tensor]],
        meta: Mapping[str, Any],
        tags: Sequence[str] = (),
    ) -> None:
        """Copy and return; see `Checkpoints.save` for the arguments. They may change once this has returned.

        Raises:
            ThawError: The snapshot before could not be committed.
            BadInput: `meta` cannot be written as JSON.
            RuntimeError: The uploader is closed, or has failed before.
        """
        if self._closing or (self._failed and self._error is None):
            raise RuntimeError("the uploader is closed or has failed: no checkpoint can be submitted")
        self.flush()
        plain = decode_document(encode_document(meta), f"meta of step {step}")
        taken = {group: snapshot(items) for group, items in tensors.items()}
        with self._changed:
            self._pending = _Snapshot(step, taken, plain, tuple(tags))
            self._changed.notify_all()

    def flush(self) -> None:
        """Wait until everything submitted is committed. Raises what went wrong since the last call."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending is None)
            error, self._error = self._error, None
        if error is not None:
            raise error

    def close(self) -> None:
        """Flush and end the thread. Raises what `flush` raises."""
        try:
            self.flush()
        finally:
            with self._changed:
                self._closing = True
                self._changed.notify_all()
            self._thread.join()

    def __enter__(self) -> "Uploader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except Exception as second:
            error.add_note(f"the last checkpoint was not committed either: {second}")

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending is not None or self._closing)
                taken = self._pending
            if taken is None:
                return
            try:
                self._checkpoints.save(taken.step, taken.tensors, taken.meta, taken.tags)
            except BaseException as error:  # handed to the step loop, whatever it is
                self._error, self._failed = error, True
            taken = None
            with self._changed:
                self._pending = None
                self._changed.notify_all()
