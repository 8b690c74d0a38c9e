"""What holds for folders alone."""

import errno
import os
import time
from pathlib import Path

import pytest

from components.core.errors import BadInput, Temporary
from components.core.store import Conflict, open_store
from components.core.store.durable import TEMPORARY
from components.core.store.local import LocalStore


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)
    store.put("k", b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (store.put, store.put_if_absent):
        with pytest.raises(Temporary, match="no room left"):
            write("k", b"new")
    assert store.get("k") == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["k"]


def test_order_of_a_durable_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def traced_sync(descriptor: int) -> None:
        done.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "sync file")  # noqa: PTH112
        sync(descriptor)

    def traced_rename(source: Path, target: Path) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", traced_sync)
    monkeypatch.setattr(os, "replace", traced_rename)
    LocalStore(tmp_path).put("k", b"data")
    assert done == ["sync file", "rename", "sync folder"]


def test_without_hard_links_put_if_absent_still_has_one_winner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    store = LocalStore(tmp_path)
    store.put_if_absent("k", b"one")
    assert store.get("k") == b"one"
    store.put_if_absent("k", b"one")
    with pytest.raises(Conflict):
        store.put_if_absent("k", b"two")
    assert [entry.key for entry in store.list()] == ["k"]


def test_unfinished_writes_are_no_objects_and_are_tidied_when_old(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/k", b"data")
    for name, age in (("old", 100), ("new", 0)):
        rest = tmp_path / "a" / f"{TEMPORARY}{name}"
        rest.write_bytes(b"half")
        os.utime(rest, (time.time() - age, time.time() - age))
    assert [entry.key for entry in store.list()] == ["a/k"]
    assert store.tidy(50) == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [f"{TEMPORARY}new", "k"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    store = LocalStore(tmp_path / "file")
    with pytest.raises(BadInput, match="file") as caught:
        store.put("k", b"")
    assert "permissions" in caught.value.remedy
    with pytest.raises(BadInput, match="cannot use this path"):
        store.get("k")


@pytest.mark.parametrize("uri", ["folder", "file:///folder", Path("folder")])
def test_addresses_of_folders(uri: str | Path) -> None:
    opened = open_store(uri)
    assert isinstance(opened, LocalStore)
    assert opened.root.name == "folder"


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3://", "s3:///x", "s3://user:hunter2@bucket/x", "s3://bucket/../x"])
def test_other_addresses_are_refused_without_being_quoted(uri: str) -> None:
    with pytest.raises(BadInput) as caught:
        open_store(uri)
    assert "hunter2" not in str(caught.value)


def test_an_address_that_became_a_path_is_noticed() -> None:
    with pytest.raises(BadInput, match="pass addresses as text"):
        open_store(Path("s3://bucket/prefix"))
