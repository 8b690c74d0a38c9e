"""Order, views and rates are pure functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.engine.order import Curriculum, epoch_order, step_seed
from components.core.engine.schedule import factor, warmup_length


@given(seed=st.integers(0, 2**31), epoch=st.integers(0, 500), count=st.integers(1, 200))
def test_an_epoch_visits_every_row_once(seed: int, epoch: int, count: int) -> None:
    assert sorted(epoch_order(seed, epoch, count)) == list(range(count))


def test_orders_differ_between_epochs_and_seeds_and_repeat_for_equal_ones() -> None:
    orders = {(s, e): tuple(epoch_order(s, e, 50)) for s in range(3) for e in range(3)}
    assert len(set(orders.values())) == 9
    assert tuple(epoch_order(1, 2, 50)) == orders[1, 2]


def test_a_resumed_epoch_continues_with_the_windows_that_are_left() -> None:
    plan = Curriculum(seed=3, sources=range(23), window=4, views=2)
    whole = list(plan.draws(epoch=5, skip=0))
    assert list(plan.draws(epoch=5, skip=3)) == whole[3:]
    assert [len(draw.rows) for draw in whole] == [4, 4, 4, 4, 4, 3]
    assert plan.steps_per_epoch == len(whole)


def test_kept_views_are_those_that_epochs_draw() -> None:
    plan = Curriculum(seed=1, sources=range(5), window=2, views=3)
    kept = plan.kept()
    assert kept is not None
    for epoch in range(6):
        for draw in plan.draws(epoch, skip=0):
            for row, key, view in zip(draw.rows, draw.keys, plan.numbers(draw.rows, epoch), strict=True):
                assert kept.keys[kept.position(row, view)] == key
    seen = {key for epoch in range(3) for draw in plan.draws(epoch, 0) for key in draw.keys}
    assert seen == set(kept.keys), "three epochs show all three views of every sample"


def test_fresh_views_never_repeat_and_cannot_be_kept() -> None:
    plan = Curriculum(seed=1, sources=range(5), window=2, views=0)
    assert plan.kept() is None
    keys = [key for epoch in range(4) for draw in plan.draws(epoch, 0) for key in draw.keys]
    assert len(set(keys)) == len(keys)


def test_warmup_is_capped_at_a_tenth_of_the_phase() -> None:
    assert warmup_length(500, 1000) == 100
    assert warmup_length(50, 1000) == 50


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_the_rate_rises_then_never_rises_again(kind: str) -> None:
    factors = [factor(step, 100, 10, kind) for step in range(100)]
    assert np.all(np.diff(factors[:11]) > 0)
    assert factors[10] == 1.0
    assert np.all(np.diff(factors[10:]) <= 0)
    assert min(factors) > 0


def test_dropout_seeds_differ_by_step_and_micro_batch() -> None:
    seeds = {step_seed(seed, step, part) for seed in range(3) for step in range(20) for part in range(4)}
    assert len(seeds) == 3 * 20 * 4


def test_rows_of_one_picture_are_augmented_alike_and_kept_once() -> None:
    plan = Curriculum(seed=1, sources=[0, 0, 1, 2, 2], window=2, views=3)
    kept = plan.kept()
    assert kept is not None
    assert len(kept.keys) == 3 * 3
    assert kept.first_rows == [0, 2, 3]
    assert kept.position(3, 2) == kept.position(4, 2)
    fresh = Curriculum(seed=1, sources=[0, 0, 1], window=3, views=0)
    (draw,) = fresh.draws(epoch=0, skip=0)
    keys = dict(zip(draw.rows, draw.keys, strict=True))
    assert keys[0] == keys[1] != keys[2]
