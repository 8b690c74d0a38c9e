"""The commit protocol over a real wire."""

import logging
import os
from typing import Any

import pytest
import torch

from components.core.checkpoint.repository import Checkpoints
from components.core.checkpoint.uploader import Uploader
from components.core.errors import Temporary
from components.core.store import Conflict
from components.core.store.retry import Retry
from components.core.store.s3 import S3Store

GROUPS = {"frozen": {"w": torch.arange(64.0)}, "head": {"w": torch.ones(4)}}


def test_save_resume_fence_and_prune(s3_store: S3Store) -> None:
    with Uploader(Checkpoints(s3_store, keep_last=2)) as uploader:
        for step in (1, 2, 3):
            uploader.submit(step, {**GROUPS, "head": {"w": torch.full((4,), float(step))}}, {"step": step})
    old = Checkpoints(s3_store)
    old.claim()
    new = Checkpoints(s3_store)
    found = new.load_newest()
    assert found is not None
    assert found.step == 3
    assert torch.equal(found.tensors["head"]["w"], torch.full((4,), 3.0))
    assert len(new.names()) == 2
    new.save(4, GROUPS, {})
    with pytest.raises(Conflict, match=f"already written by process {os.getpid()}"):
        old.save(5, GROUPS, {})
    found = Checkpoints(s3_store).load_newest()
    assert found is not None
    assert found.step == 4


def test_every_lost_response_of_a_save_is_survived(proxy: Any) -> None:
    """Responses are lost one by one, after the server has done what was asked: no save is refused or doubled."""
    store = S3Store("thaw-tests", f"lossy-{os.urandom(8).hex()}", retry=Retry(attempts=4, first=0.001, cap=0.01))
    writer = Checkpoints(store)
    writer.save(0, GROUPS, {})
    client = store._client()

    def lose_first(**_: object) -> None:
        proxy.drop = 1

    client.meta.events.register("before-call.s3.PutObject", _once_per_key(lose_first))
    for step in (1, 2):
        writer.save(step, {**GROUPS, "head": {"w": torch.full((4,), step + 10.0)}}, {})
    assert proxy.dropped >= 6  # a blob, a manifest and LATEST, twice
    assert len(writer.names()) == 2
    found = Checkpoints(store).load_newest()
    assert found is not None
    assert found.step == 2


def _once_per_key(act: Any) -> Any:
    seen: set[tuple[str, bytes]] = set()

    def handler(params: Any, **_: object) -> None:
        body = params["body"]
        content = body if isinstance(body, bytes) else body.getvalue()
        if (params["url"], content) not in seen:
            seen.add((params["url"], content))
            act()

    return handler


def test_a_store_that_goes_away_leaves_the_last_checkpoint(
    s3_store: S3Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Checkpoints(s3_store)
    writer.save(1, GROUPS, {})
    client = s3_store._client()

    def away(**_: object) -> None:
        raise ConnectionResetError

    for at in range(3):  # the blob, the manifest, LATEST
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setattr(client, "put_object", _after(at, client.put_object, away))
            with pytest.raises(Temporary, match="does not answer"):
                writer.save(2, {**GROUPS, "head": {"w": torch.full((4,), float(at))}}, {"at": at})
        found = Checkpoints(s3_store).load_newest()
        assert found is not None
        assert found.step == 1
    writer.save(3, GROUPS, {})
    found = Checkpoints(s3_store).load_newest()
    assert found is not None
    assert found.step == 3


def _after(calls: int, works: Any, fails: Any) -> Any:
    left = [calls]

    def call(**given: Any) -> Any:
        left[0] -= 1
        return works(**given) if left[0] >= 0 else fails(**given)

    return call


def test_without_conditional_writes(s3_store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = s3_store._client()
    put = client.put_object
    monkeypatch.setattr(
        client, "put_object", lambda **given: put(**{key: value for key, value in given.items() if key[:2] != "If"})
    )
    Checkpoints(s3_store).save(5, GROUPS, {"who": "first"})
    Checkpoints(s3_store).save(3, GROUPS, {"who": "second"})
    assert not any(entry.key == "LATEST" for entry in s3_store.list())
    found = Checkpoints(s3_store).load_newest()
    assert found is not None
    assert found.meta == {"who": "second"}
