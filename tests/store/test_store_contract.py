"""What holds for every store."""

import threading

import pytest

from components.core.errors import BadInput
from components.core.store import Conflict, NotFound, Store


def test_what_was_put_is_got(store: Store) -> None:
    store.put("a/b", b"one")
    assert store.get("a/b") == b"one"
    store.put("a/b", b"two")
    assert store.get("a/b", limit=3) == b"two"


def test_absent_objects_are_named(store: Store) -> None:
    for read in (store.get, store.get_versioned, store.head):
        with pytest.raises(NotFound, match="no/such"):
            read("no/such")
    store.delete("no/such")


def test_more_than_the_limit_is_refused(store: Store) -> None:
    store.put("big", b"x" * 11)
    with pytest.raises(BadInput, match="11 bytes where at most 10"):
        store.get("big", limit=10)


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a b", "a\\b", "é", "a" * 600])
def test_keys_that_could_leave_the_store_are_refused(store: Store, key: str) -> None:
    for use in (store.get, store.head, store.delete):
        with pytest.raises(BadInput, match="not a key"):
            use(key)
    with pytest.raises(BadInput, match="not a key"):
        store.put(key, b"")
    if key not in {"", "a/"}:
        with pytest.raises(BadInput, match="not a key"):
            store.list(key)


def test_list_and_head_agree(store: Store) -> None:
    assert list(store.list()) == []
    for key in ("m/2", "m/10", "b/x", "m2/y", "z"):
        store.put(key, key.encode())
    assert [entry.key for entry in store.list()] == ["b/x", "m/10", "m/2", "m2/y", "z"]
    assert [entry.key for entry in store.list("m/")] == ["m/10", "m/2"]
    assert [entry.key for entry in store.list("m")] == ["m/10", "m/2", "m2/y"]
    for entry in store.list():
        head = store.head(entry.key)
        assert (head.key, head.size, head.version) == (entry.key, entry.size, entry.version)
        assert entry.size == len(entry.key)
        assert 0 <= entry.age < 5
    store.delete("m/10")
    assert [entry.key for entry in store.list("m/")] == ["m/2"]


def test_put_if_absent_has_one_winner_and_names_it(store: Store) -> None:
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def write(number: int) -> None:
        barrier.wait()
        try:
            store.put_if_absent("race", f'{{"writer": "number {number}"}}'.encode())
            outcomes.append(f"won {number}")
        except Conflict as error:
            outcomes.append(error.what)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if outcome.startswith("won")]
    assert len(outcomes) == 8
    assert len(winners) == 1
    winner = winners[0].removeprefix("won ")
    assert set(outcomes) - set(winners) == {f"already written by number {winner}"}
    assert store.get("race") == f'{{"writer": "number {winner}"}}'.encode()


def test_equal_data_counts_as_written(store: Store) -> None:
    version = store.put_if_absent("k", b"same")
    assert store.put_if_absent("k", b"same") == version
    newer = store.put_if_match("k", b"next", version)
    assert store.put_if_match("k", b"next", version) == newer


def test_put_if_match_refuses_an_old_version(store: Store) -> None:
    first = store.put_if_absent("k", b'{"writer": "a"}')
    second = store.put_if_match("k", b'{"writer": "b"}', first)
    assert store.head("k").version == second == store.get_versioned("k").version
    with pytest.raises(Conflict, match="already written by b"):
        store.put_if_match("k", b'{"writer": "c"}', first)
    assert store.get("k") == b'{"writer": "b"}'
    store.delete("k")
    with pytest.raises(Conflict, match="deleted"):
        store.put_if_match("k", b"d", second)
    with pytest.raises(NotFound):
        store.get("k")


def test_put_if_match_has_one_winner(store: Store) -> None:
    version = store.put_if_absent("k", b"start")
    won: list[int] = []

    def write(number: int) -> None:
        try:
            store.put_if_match("k", f"from {number}".encode(), version)
            won.append(number)
        except Conflict:
            return

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("k") == f"from {won[0]}".encode()


def test_the_probe_finds_conditional_writes_and_leaves_nothing(store: Store) -> None:
    assert store.conditional_writes()
    assert list(store.list()) == []
