"""How windows are cut between processes: every sample once, coupled batches whole."""

import pytest

from components.core.engine.shares import Shares, share


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [0, 1, 4, 7, 15])
def test_shares_are_contiguous_and_even(count: int, size: int) -> None:
    parts = [share(count, rank, size) for rank in range(size)]
    assert [place for part in parts for place in part] == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("whole", [0, 1, 3, 4])
@pytest.mark.parametrize("window", [1, 2, 6, 7])
def test_every_sample_is_trained_on_once(window: int, whole: int) -> None:
    taken = [position for rank in range(3) for position in Shares(rank, 3, whole).positions(window)]
    assert sorted(taken) == list(range(window))


def test_a_coupled_batch_is_cut_by_itself() -> None:
    first, second = Shares(0, 2, whole=4), Shares(1, 2, whole=4)
    assert (first.positions(7), second.positions(7)) == ([0, 1, 4, 5], [2, 3, 6])
    assert (first.bounds(7, 4), second.bounds(7, 4)) == ([(0, 2), (2, 4)], [(0, 2), (2, 3)])


def test_an_uncoupled_share_is_cut_into_micro_batches() -> None:
    assert Shares(0, 2).bounds(7, 3) == [(0, 3), (3, 4)]
    assert Shares(1, 2).bounds(1, 3) == []
    assert Shares().bounds(7, 3) == [(0, 3), (3, 6), (6, 7)]


@pytest.mark.parametrize(("window", "idle"), [(9, [False, False, True]), (8, [False, False, False]), (4, [False] * 3)])
def test_who_is_idle_in_some_coupled_batch(window: int, idle: list[bool]) -> None:
    shares = [Shares(rank, 3, whole=7 if window == 9 else 4) for rank in range(3)]
    assert [each.idle(window) for each in shares] == idle
    assert {each.some_idle(window) for each in shares} == {any(idle)}


def test_without_coupling_nobody_waits_for_what_others_gather() -> None:
    assert not Shares(1, 2).idle(1) and not Shares(0, 2).some_idle(1)
