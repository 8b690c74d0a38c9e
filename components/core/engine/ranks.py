"""The processes of one launch: how they agree, add up, and end together.

Nothing is exchanged without a head before it: one small row of integers from every process, on the CPU. A process that
fails sends a head that says so, wherever it is, and the others learn of it in whatever they exchange next; so one
process's error ends all of them, and none waits for ever. What is exchanged is JSON and tensors, never a pickle.
"""

import atexit
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from functools import cache

import torch
from torch import Tensor
from torch import distributed as dist

from components.core.engine.peer_errors import Lost, describe, rebuild
from components.core.launch import place

PATIENCE = timedelta(days=7)
"""How long a process waits for another one that is alive: the first one may fill a cache or prepare data for hours."""

FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
DTYPES = (*FLOATS, torch.int64, torch.int32, torch.uint8, torch.bool)
DIMS = 6
BUCKET = 32 * 2**20
"""Elements that are summed over the processes at a time."""


class Kind(IntEnum):
    """What a process has come to exchange."""

    FAILED = 0
    IDLE = 1
    """Whatever the others exchange, having nothing to add."""
    TEXT = 2
    SPREAD = 3
    ROWS = 4
    SUM = 5
    LEAVE = 6


@dataclass(frozen=True)
class Head:
    """What a process announces: the kind, the bytes of a text, the shape and type of a tensor."""

    kind: Kind
    size: int = 0
    shape: tuple[int, ...] = ()
    dtype: torch.dtype = torch.float32

    @property
    def meaning(self) -> tuple[object, ...]:
        """What all processes must agree on: of rows not how many."""
        return self.kind, self.dtype, self.shape[1:] if self.kind == Kind.ROWS else self.shape

    def encode(self) -> Tensor:
        padded = (*self.shape, *[-1] * (DIMS - len(self.shape)))
        return torch.tensor([self.kind, self.size, DTYPES.index(self.dtype), *padded], dtype=torch.int64)

    @staticmethod
    def decode(row: Tensor) -> "Head":
        kind, size, dtype, *shape = row.tolist()
        return Head(Kind(kind), size, tuple(side for side in shape if side >= 0), DTYPES[dtype])


class Ranks:
    """This process among those of its launch; the only one's methods cost nothing and exchange nothing.

    Attributes:
        rank: Number of this process, from 0.
        size: How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size
        self._over = False  # a failure was told, or somebody is gone: nothing more is exchanged
        self._lost = False

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.rank == 0

    def parts(self, data: bytes) -> list[bytes]:
        """The bytes of every process, by rank; each may be of any length."""
        if self.size == 1:
            return [data]
        return self._parts(data, self._meet(Head(Kind.TEXT, len(data))))

    def texts(self, text: str) -> list[str]:
        """The text of every process, by rank."""
        return [part.decode() for part in self.parts(text.encode())]

    def wait(self) -> None:
        """Go on when every process has come here."""
        self.parts(b"")

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in some process."""
        return flag if self.size == 1 else any(self.texts("1" if flag else ""))

    def spread(self, data: bytes | None) -> bytes:
        """The bytes of the first process; the others give None."""
        own = data or b""
        if self.size == 1:
            return own
        size = self._meet(Head(Kind.SPREAD, len(own)))[0].size
        buffer = torch.frombuffer(bytearray(own or bytes(max(1, size))), dtype=torch.uint8)
        self._call(lambda: dist.broadcast(buffer, src=0))
        return buffer.numpy().tobytes()[:size]

    def rows(self, x: Tensor) -> Tensor:
        """The rows [b, ...] of every process in the order of ranks, [B, ...]; b may differ, and may be 0."""
        if self.size == 1:
            return x
        heads = self._meet(Head(Kind.ROWS, shape=tuple(x.shape), dtype=x.dtype))
        return self._rows(x, heads)

    def sum(self, x: Tensor) -> Tensor:
        """The sum over all processes of a tensor of one shape."""
        if self.size == 1:
            return x
        self._meet(Head(Kind.SUM, shape=tuple(x.shape), dtype=x.dtype))
        total = x.detach().clone(memory_format=torch.contiguous_format)
        self._call(lambda: dist.all_reduce(total))
        return total

    def sum_in_place(self, tensors: Sequence[Tensor]) -> None:
        """Sum every tensor over all processes, many at a time. All processes must give tensors of the same shapes."""
        if self.size == 1:
            return
        for bucket in _buckets(tensors):
            flat = self.sum(torch.cat([tensor.detach().reshape(-1) for tensor in bucket]))
            for tensor, part in zip(bucket, flat.split([tensor.numel() for tensor in bucket]), strict=True):
                tensor.detach().copy_(part.view_as(tensor))

    def attend(self, device: torch.device) -> None:
        """Take part in whatever the others exchange, having nothing to add, until they `wait`."""
        while True:
            heads = self._meet(Head(Kind.IDLE))
            other = next(head for head in heads if head.kind != Kind.IDLE)
            if other.kind == Kind.ROWS:
                self._rows(torch.empty((0, *other.shape[1:]), dtype=other.dtype, device=device), heads)
            elif other.kind == Kind.SUM:
                nothing = torch.zeros(other.shape, dtype=other.dtype, device=device)
                self._call(lambda nothing=nothing: dist.all_reduce(nothing))  # type: ignore[misc]
            else:
                return

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """An error of this process inside the block becomes an error of every process."""
        try:
            yield
        except Exception as error:
            if self.size > 1 and not self._over:
                with suppress(Lost):  # the error under way says more
                    self._tell(error)
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """A stage's work: errors are shared, and nobody leaves before all have cleaned up."""
        self._over = self._lost = False
        try:
            with self.failing_together():
                yield
                self._leave()
        except Exception:
            with suppress(Lost):
                self._leave()
            raise

    def _leave(self) -> None:
        if self.size > 1 and not self._lost:
            self._heads(Head(Kind.LEAVE)) if self._over else self._meet(Head(Kind.LEAVE))

    def _meet(self, head: Head) -> list[Head]:
        """Exchange heads. Raises what another process failed with."""
        if self._over:
            raise RuntimeError("a process of this launch has failed: nothing more can be exchanged")
        heads = self._heads(head)
        if any(each.kind == Kind.FAILED for each in heads):
            self._over = True
            rank, text = next((rank, text) for rank, text in enumerate(self._failures(b"", heads)) if text)
            raise rebuild(text, rank)
        if len({each.meaning for each in heads if each.kind != Kind.IDLE}) > 1:
            self._over = True
            raise RuntimeError(f"the processes are out of step: {heads}")
        return heads

    def _heads(self, head: Head) -> list[Head]:
        mine = head.encode()
        found = [torch.empty_like(mine) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(found, mine))
        return [Head.decode(row) for row in found]

    def _parts(self, data: bytes, heads: Sequence[Head]) -> list[bytes]:
        """The bytes of every process, as long as their heads say."""
        longest = max(head.size for head in heads)
        if longest == 0:
            return [b""] * self.size
        mine = torch.frombuffer(bytearray(data.ljust(longest, b"\0")), dtype=torch.uint8)
        found = [torch.empty_like(mine) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(found, mine))
        return [part.numpy().tobytes()[: head.size] for part, head in zip(found, heads, strict=True)]

    def _rows(self, x: Tensor, heads: Sequence[Head]) -> Tensor:
        counts = [head.shape[0] if head.kind == Kind.ROWS else 0 for head in heads]
        padded = x.new_zeros((max(counts), *x.shape[1:]))
        padded[: len(x)] = x.detach()
        found = [torch.empty_like(padded) for _ in range(self.size)]
        self._call(lambda: dist.all_gather(found, padded))
        return torch.cat([part[:count] for part, count in zip(found, counts, strict=True)])

    def _tell(self, error: Exception) -> None:
        """Tell the others what this process failed with."""
        data = describe(error).encode()
        self._over = True
        self._failures(data, self._heads(Head(Kind.FAILED, len(data))))

    def _failures(self, data: bytes, heads: Sequence[Head]) -> list[str]:
        """What the processes failed with, by rank; empty for those that did not."""
        told = [Head(head.kind, head.size if head.kind == Kind.FAILED else 0) for head in heads]
        return [part.decode() for part in self._parts(data, told)]

    def _call(self, collective: Callable[[], object]) -> None:
        try:
            collective()
        except RuntimeError as error:
            self._over = self._lost = True
            raise Lost(
                "another process of this launch is gone",
                where=f"process {self.rank} of {self.size}",
                remedy="look at the log of the one that ended first; the same launch continues",
            ) from error


def here() -> Ranks:
    """This process among those of its launch. The first call of a launch of several waits for all of them."""
    return _joined() if place().size > 1 else Ranks()


@cache
def _joined() -> Ranks:
    found = place()
    os.environ.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))  # or accelerate chooses for itself
    # Named by device type: heads and texts go over the CPU, gradients where they are.
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backend, timeout=PATIENCE)
    atexit.register(_part)
    return Ranks(found.rank, found.size)


def _part() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def _buckets(tensors: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Runs of tensors of one type and of at most BUCKET elements, or a single larger one."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        full = sum(each.numel() for each in bucket) + tensor.numel() > BUCKET
        if bucket and (full or bucket[0].dtype != tensor.dtype):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket
