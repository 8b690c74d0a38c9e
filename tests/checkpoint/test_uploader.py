"""Background commits: snapshots, back-pressure, errors."""

import threading
import time
from typing import Any

import pytest
import torch

from components.core.checkpoint.repository import Checkpoints
from components.core.checkpoint.uploader import Uploader
from components.core.errors import BadInput, Temporary
from components.core.store.local import LocalStore


class Gated(LocalStore):
    """Waits before the first write until it is let."""

    def __init__(self, inner: LocalStore) -> None:
        super().__init__(inner.root)
        self.gate = threading.Event()

    def put(self, key: str, data: bytes) -> str:
        assert self.gate.wait(10)
        return super().put(key, data)


def test_the_loop_waits_for_the_copy_alone(local: LocalStore) -> None:
    gated = Gated(local)
    weights = torch.zeros(4)
    meta: dict[str, Any] = {"history": [1]}
    with Uploader(Checkpoints(gated)) as uploader:
        uploader.submit(1, {"all": {"w": weights}}, meta)
        weights += 1
        meta["history"].append(2)
        assert Checkpoints(local).load_newest() is None  # not committed, and yet submit has returned
        gated.gate.set()
        uploader.flush()
        found = Checkpoints(local).load_newest()
    assert found is not None
    assert torch.equal(found.tensors["all"]["w"], torch.zeros(4))
    assert found.meta == {"history": [1]}


def test_at_most_one_is_pending(local: LocalStore) -> None:
    gated = Gated(local)
    uploader = Uploader(Checkpoints(gated))
    uploader.submit(1, {"all": {"w": torch.zeros(1)}}, {})
    second = threading.Thread(target=uploader.submit, args=(2, {"all": {"w": torch.ones(1)}}, {}))
    second.start()
    second.join(0.1)
    assert second.is_alive()
    gated.gate.set()
    second.join(10)
    assert not second.is_alive()
    uploader.close()
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert found.step == 2


def test_an_error_surfaces_once_and_nothing_is_committed_after_it(
    local: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str, data: bytes) -> str:
        raise Temporary("no room left")

    uploader = Uploader(Checkpoints(local))
    with monkeypatch.context() as patch:
        patch.setattr(local, "put", full)
        uploader.submit(1, {"all": {"w": torch.zeros(1)}}, {})
        with pytest.raises(Temporary, match="no room"):
            uploader.flush()
    with pytest.raises(RuntimeError, match="has failed"):
        uploader.submit(2, {"all": {"w": torch.zeros(1)}}, {})
    uploader.close()
    assert Checkpoints(local).names() == []
    with pytest.raises(RuntimeError, match="closed"):
        uploader.submit(3, {}, {})


def test_close_raises_what_the_last_commit_raised(local: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(key: str, data: bytes) -> str:
        raise Temporary("no room left")

    monkeypatch.setattr(local, "put", full)

    def run(error: Exception | None) -> None:
        with Uploader(Checkpoints(local)) as uploader:
            uploader.submit(1, {"all": {"w": torch.zeros(1)}}, {})
            if error is not None:
                raise error

    with pytest.raises(Temporary, match="no room"):
        run(None)
    with pytest.raises(ZeroDivisionError) as caught:
        run(ZeroDivisionError())
    assert "no room" in caught.value.__notes__[0]


def test_meta_is_checked_in_the_loop(local: LocalStore) -> None:
    with Uploader(Checkpoints(local)) as uploader, pytest.raises(BadInput, match="JSON"):
        uploader.submit(1, {}, {"tensor": torch.zeros(1)})


def test_hooks_report_seconds_and_bytes(local: LocalStore) -> None:
    saved: list[tuple[float, int]] = []
    started = time.monotonic()
    Checkpoints(local, on_saved=lambda *both: saved.append(both)).save(1, {"a": {"x": torch.zeros(1000)}}, {})
    [(seconds, size)] = saved
    assert 0 < seconds <= time.monotonic() - started
    assert 4000 < size < 6000
