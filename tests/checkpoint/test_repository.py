"""The commit protocol, reading what was damaged, and what is kept."""

import math
import os
import time
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from components.core.checkpoint.failures import refuse_failed
from components.core.checkpoint.manifest import BLOBS, FOLDER, Damaged
from components.core.checkpoint.repository import Checkpoints
from components.core.errors import BadInput, Temporary
from components.core.store import Conflict, Store
from components.core.store.local import LocalStore

Groups = dict[str, dict[str, Tensor]]


def stepped(groups: Groups, step: int) -> Groups:
    return {**groups, "head": {name: tensor + step for name, tensor in groups["head"].items()}}


def same(left: Groups, right: Groups) -> bool:
    return left.keys() == right.keys() and all(
        left[group].keys() == right[group].keys()
        and all(torch.equal(left[group][name], right[group][name]) for name in left[group])
        for group in left
    )


def flip(store: LocalStore, key: str) -> None:
    path = store.root / key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def newest_blob(store: LocalStore) -> str:
    return max(store.list(BLOBS), key=lambda entry: (store.root / entry.key).stat().st_mtime_ns).key


@pytest.mark.parametrize("kind", ["local", "unconditional"])
def test_what_was_saved_is_loaded(kind: str, groups: Groups, request: pytest.FixtureRequest) -> None:
    store: Store = request.getfixturevalue(kind)
    assert Checkpoints(store).load_newest() is None
    writer = Checkpoints(store)
    meta = {"epoch": 3, "best": -math.inf, "rng": [1, 2**70]}
    first = writer.save(10, stepped(groups, 10), meta, ["best"])
    second = writer.save(20, stepped(groups, 20), meta)
    found = Checkpoints(store).load_newest()
    assert found is not None
    assert (found.name, found.step, found.tags, found.meta) == (second, 20, (), meta)
    assert same(found.tensors, stepped(groups, 20))
    assert same(writer.load(first).tensors, stepped(groups, 10))


@pytest.mark.parametrize("kind", ["local", "unconditional"])
def test_a_later_writer_is_newer_at_a_smaller_step(kind: str, groups: Groups, request: pytest.FixtureRequest) -> None:
    store: Store = request.getfixturevalue(kind)
    Checkpoints(store).save(500, groups, {"who": "first"})
    later = Checkpoints(store)
    later.load_newest()
    later.save(300, groups, {"who": "second"})
    found = Checkpoints(store).load_newest()
    assert found is not None
    assert found.meta == {"who": "second"}


def test_frozen_groups_are_stored_once(local: LocalStore, groups: Groups) -> None:
    written: list[int] = []
    writer = Checkpoints(local, keep_last=9, on_saved=lambda seconds, size: written.append(size))
    for step in range(3):
        writer.save(step, stepped(groups, step), {})
    assert len(local.list(BLOBS)) == 4
    frozen = 16 * 16 * 4
    assert written[0] > frozen > written[1]
    resumed = Checkpoints(local, keep_last=9, on_saved=lambda seconds, size: written.append(size))
    resumed.load_newest()
    resumed.save(3, stepped(groups, 3), {})
    assert written[-1] < frozen


def test_a_flipped_byte_falls_back_and_is_named(
    local: LocalStore, groups: Groups, caplog: pytest.LogCaptureFixture
) -> None:
    writer = Checkpoints(local)
    writer.save(1, stepped(groups, 1), {})
    second = writer.save(2, stepped(groups, 2), {})
    broken = newest_blob(local)
    flip(local, broken)
    reader = Checkpoints(local)
    found = reader.load_newest()
    assert found is not None
    assert found.step == 1
    assert same(found.tensors, stepped(groups, 1))
    assert second in caplog.text
    assert broken in caplog.text
    with pytest.raises(Damaged, match="digest"):
        reader.load(second)
    # training on reaches the same tensors again: the damaged blob of that name must be replaced
    reader.save(2, stepped(groups, 2), {})
    healed = Checkpoints(local).load_newest()
    assert healed is not None
    assert healed.step == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete", "empty"])
def test_a_damaged_manifest_falls_back(local: LocalStore, groups: Groups, damage: str) -> None:
    writer = Checkpoints(local)
    first = writer.save(1, groups, {})
    path = local.root / FOLDER / writer.save(2, groups, {})
    if damage == "flip":
        flip(local, f"{FOLDER}{path.name}")
    elif damage == "delete":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 40 if damage == "truncate" else 0])
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert found.name == first
    resumed = Checkpoints(local)
    resumed.save(2, groups, {})
    assert resumed.load_newest() is not None


@pytest.mark.parametrize("content", [None, b"", b"{}", b'{"name": "../../x", "attempt": "y"}', b"\x80\x04junk"])
def test_latest_missing_or_damaged(local: LocalStore, groups: Groups, content: bytes | None) -> None:
    name = Checkpoints(local).save(7, groups, {})
    if content is None:
        local.delete("LATEST")
    else:
        local.put("LATEST", content)
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert found.name == name
    Checkpoints(local).save(8, groups, {})
    again = Checkpoints(local).load_newest()
    assert again is not None
    assert again.step == 8


def test_nothing_whole_is_an_error_not_a_fresh_start(local: LocalStore, groups: Groups) -> None:
    Checkpoints(local).save(1, groups, {})
    for entry in local.list(BLOBS):
        flip(local, entry.key)
    with pytest.raises(BadInput, match="none of the 1 checkpoints") as caught:
        Checkpoints(local).load_newest()
    assert "--restart" in caught.value.remedy


def test_trouble_with_the_store_is_no_damage(
    local: LocalStore, groups: Groups, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Checkpoints(local)
    writer.save(1, groups, {})
    writer.save(2, groups, {})

    def away(key: str, *, limit: int | None = None) -> bytes:
        raise Temporary("the store does not answer")

    monkeypatch.setattr(local, "get", away)
    with pytest.raises(Temporary):
        Checkpoints(local).load_newest()


def test_an_older_writer_is_fenced_out(local: LocalStore, groups: Groups) -> None:
    old = Checkpoints(local)
    old.save(1, groups, {})
    new = Checkpoints(local)
    new.claim()
    with pytest.raises(Conflict, match=f"already written by process {os.getpid()}"):
        old.save(2, groups, {"who": "old"})
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert found.step == 1
    new.save(2, groups, {"who": "new"})
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert found.meta == {"who": "new"}


def test_a_lost_lease_stops_the_writer(local: LocalStore, groups: Groups) -> None:
    class Lost:
        def check(self) -> None:
            raise Conflict("another run is writing here: process 7 on elsewhere")

    with pytest.raises(Conflict, match="elsewhere"):
        Checkpoints(local, lease=Lost()).save(1, groups, {})
    assert Checkpoints(local).names() == []


def age_blobs(local: LocalStore, seconds: float) -> None:
    for entry in local.list(BLOBS):
        path = local.root / entry.key
        then = time.time() - seconds
        os.utime(path, (then, then))


def test_retention(local: LocalStore, groups: Groups) -> None:
    writer = Checkpoints(local, keep_last=2, grace=0)
    for step in range(1, 8):
        tags = (["best"] if step in (2, 4) else []) + ([f"epoch-{step}"] if step == 3 else [])
        writer.save(step, stepped(groups, step), {}, tags)
    kept = [writer.load(name).step for name in writer.names()]
    assert kept == [3, 4, 6, 7]
    assert len(local.list(BLOBS)) == 1 + 4


def test_young_blobs_of_others_wait_for_their_manifest(local: LocalStore, groups: Groups) -> None:
    """A writer's own superseded blobs go at once: a small model would fill a disk within the time of grace."""
    local.put(BLOBS + "0" * 64, b"being written by somebody")
    writer = Checkpoints(local, keep_last=2, grace=100)
    for step in range(4):
        writer.save(step, stepped(groups, step), {})
    assert len(local.list(BLOBS)) == 1 + 2 + 1
    age_blobs(local, 200)
    writer.save(4, stepped(groups, 4), {})
    assert len(local.list(BLOBS)) == 1 + 2
    found = Checkpoints(local).load_newest()
    assert found is not None
    assert same(found.tensors, stepped(groups, 4))


def test_damaged_checkpoints_take_nobodys_place(local: LocalStore, groups: Groups) -> None:
    writer = Checkpoints(local, keep_last=2, grace=0)
    for step in (1, 2):
        writer.save(step, stepped(groups, step), {})
    flip(local, newest_blob(local))
    resumed = Checkpoints(local, keep_last=2, grace=0)
    assert resumed.load_newest() is not None
    resumed.save(3, stepped(groups, 3), {})
    assert [resumed.load(name).step for name in resumed.names()] == [1, 3]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from([(), ("best",), ("epoch-1",), ("epoch-2", "best")]))))
def test_retention_never_deletes_what_is_named(tmp_path_factory: Any, plan: list[tuple[int, tuple[str, ...]]]) -> None:
    """Contents repeat, so blobs are shared, dropped and needed again."""
    local = LocalStore(tmp_path_factory.mktemp("run"))
    writer = Checkpoints(local, keep_last=2, grace=-1)
    for step, (content, tags) in enumerate(plan):
        writer.save(step, {"a": {"x": torch.tensor(content)}, "b": {"x": torch.tensor(content % 2)}}, {}, tags)
        names = Checkpoints(local).names()
        assert len(names) >= min(2, step + 1)
        for name in names:
            Checkpoints(local).load(name)
        named = {blob.digest for name in names for blob in writer._known[name].groups.values()}
        assert {entry.key.removeprefix(BLOBS) for entry in local.list(BLOBS)} == named


def test_clear_starts_over(local: LocalStore, groups: Groups) -> None:
    writer, other = Checkpoints(local), Checkpoints(local)
    writer.save(1, groups, {})
    writer.mark_failed("digest", "reason")
    other.clear()
    assert [entry.key for entry in local.list()] == []
    with pytest.raises(Conflict):
        writer.save(2, groups, {})
    assert other.failed() is None


def test_failures_are_remembered_by_digest(local: LocalStore) -> None:
    checkpoints = Checkpoints(local)
    assert checkpoints.failed() is None
    checkpoints.mark_failed("abc", "no lesions in train")
    failure = checkpoints.failed()
    assert failure is not None
    assert (failure.digest, failure.reason) == ("abc", "no lesions in train")
    with pytest.raises(BadInput, match="no lesions in train"):
        refuse_failed(local, "abc")
    refuse_failed(local, "another")
    local.put("failed.json", b"{}")
    with pytest.raises(BadInput, match="not a record"):
        checkpoints.failed()


@pytest.mark.parametrize("name", ["", "x", "../LATEST", "000001-00000001-step0000000001-zzzz"])
def test_names_are_checked(local: LocalStore, name: str) -> None:
    with pytest.raises(BadInput, match="not the name of a checkpoint"):
        Checkpoints(local).load(name)


def test_another_schema_is_refused(local: LocalStore, groups: Groups, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.core.checkpoint import manifest

    with monkeypatch.context() as patch:
        patch.setattr(manifest, "SCHEMA", 99)
        Checkpoints(local).save(1, groups, {})
    with pytest.raises(BadInput, match="schema 99"):
        Checkpoints(local).load_newest()
