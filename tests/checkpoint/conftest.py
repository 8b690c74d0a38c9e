"""Stores in fresh folders, with and without conditional writes."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.core.store import Entry, Versioned
from components.core.store.local import LocalStore


class Unconditional:
    """A backend that knows no conditions; asking for one all the same is a fault of the caller."""

    def __init__(self, inner: LocalStore) -> None:
        self.inner = inner

    @property
    def uri(self) -> str:
        return self.inner.uri

    def get(self, key: str, *, limit: int | None = None) -> bytes:
        return self.inner.get(key, limit=limit)

    def get_versioned(self, key: str, *, limit: int | None = None) -> Versioned:
        return self.inner.get_versioned(key, limit=limit)

    def put(self, key: str, data: bytes) -> str:
        return self.inner.put(key, data)

    def put_if_absent(self, key: str, data: bytes) -> str:
        raise AssertionError("a conditional write on a backend without them")

    def put_if_match(self, key: str, data: bytes, version: str) -> str:
        raise AssertionError("a conditional write on a backend without them")

    def head(self, key: str) -> Entry:
        return self.inner.head(key)

    def list(self, prefix: str = "") -> Sequence[Entry]:
        return self.inner.list(prefix)

    def delete(self, key: str) -> None:
        self.inner.delete(key)

    def conditional_writes(self) -> bool:
        return False

    def tidy(self, grace: float) -> int:
        return self.inner.tidy(grace)


@pytest.fixture
def local(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "run")


@pytest.fixture
def unconditional(local: LocalStore) -> Unconditional:
    return Unconditional(local)


@pytest.fixture
def groups() -> dict[str, dict[str, Tensor]]:
    """A frozen group and a trained one."""
    draw = torch.Generator().manual_seed(0)
    return {
        "frozen": {"w": torch.randn(16, 16, generator=draw)},
        "head": {"w": torch.randn(4, 4, generator=draw), "b": torch.zeros(4)},
    }
