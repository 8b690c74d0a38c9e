"""Means, intervals and what is left out of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.metrics.summary import by_label, paired_difference, summarise, summarise_scores

NAN = float("nan")


def normal(seed: int, size: int) -> np.ndarray:
    return np.random.Generator(np.random.Philox(seed)).normal(size=size)


def test_undefined_values_are_counted_and_reach_no_mean() -> None:
    estimate = summarise([0.2, NAN, 0.4, NAN, 0.9])
    assert (estimate.n, estimate.undefined) == (3, 2)
    assert estimate.mean == pytest.approx(0.5)
    assert estimate.sd == pytest.approx(np.std([0.2, 0.4, 0.9], ddof=1))
    assert estimate.low is not None
    assert estimate.high is not None
    assert 0.2 <= estimate.low <= 0.5 <= estimate.high <= 0.9


def test_too_little_to_estimate_is_said_and_not_nan() -> None:
    nothing = summarise([NAN, NAN])
    assert (nothing.n, nothing.undefined, nothing.mean, nothing.sd, nothing.low) == (0, 2, None, None, None)
    one = summarise([0.5])
    assert (one.n, one.mean, one.sd, one.low, one.high) == (1, 0.5, None, None, None)
    one_patient = summarise([0.5, 0.7, 0.9], ["p", "p", "p"])
    assert one_patient.sd is not None
    assert one_patient.low is None
    assert summarise([]).n == 0


def test_equal_seeds_give_equal_intervals() -> None:
    values = normal(0, 40)
    assert summarise(values, seed=3) == summarise(values, seed=3)
    assert summarise(values, seed=3) != summarise(values, seed=4)


def test_the_interval_is_the_textbook_one_for_many_independent_cases() -> None:
    values = normal(1, 400)
    estimate = summarise(values, draws=4000)
    half = 1.96 * values.std(ddof=1) / 20
    assert estimate.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert estimate.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def naive_cluster_means(values: np.ndarray, groups: list[str], draws: int) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(99))
    names = sorted(set(groups))
    means = []
    for _ in range(draws):
        drawn = [names[i] for i in generator.integers(0, len(names), len(names))]
        means.append(np.mean([v for name in drawn for v, g in zip(values, groups, strict=True) if g == name]))
    return np.asarray(means)


def test_the_cluster_bootstrap_equals_the_naive_one() -> None:
    groups = [f"p{i}" for i in range(12) for _ in range(1 + i % 4)]
    patient = dict(zip(sorted(set(groups)), normal(2, 12), strict=True))
    values = np.asarray([patient[group] for group in groups]) + 0.1 * normal(3, len(groups))
    estimate = summarise(values, groups, draws=8000)
    low, high = np.percentile(naive_cluster_means(values, groups, 2000), [2.5, 97.5])
    width = high - low
    assert estimate.low == pytest.approx(low, abs=0.08 * width)
    assert estimate.high == pytest.approx(high, abs=0.08 * width)


def test_repeating_a_patient_does_not_narrow_the_interval() -> None:
    values = normal(4, 15)
    once = summarise(values)
    copied = np.repeat(values, 10)
    grouped = summarise(copied, [str(i) for i in range(15) for _ in range(10)])
    naive = summarise(copied)
    assert once.low is not None and once.high is not None
    assert grouped.low is not None and grouped.high is not None
    assert naive.low is not None and naive.high is not None
    assert grouped.high - grouped.low == pytest.approx(once.high - once.low, rel=0.05)
    assert naive.high - naive.low < 0.5 * (once.high - once.low)


def test_chunks_do_not_change_the_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    values = normal(5, 50)
    whole = summarise(values)
    monkeypatch.setattr("components.core.metrics.summary.CHUNK", 1000)
    assert summarise(values) == whole


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    hard = 3 * normal(6, 40)
    better = hard + 0.2 + 0.1 * normal(7, 40)
    ours, theirs, difference = summarise(better), summarise(hard), paired_difference(better, hard)
    assert ours.low is not None and theirs.high is not None
    assert ours.low < theirs.high
    assert difference.mean == pytest.approx(0.2, abs=0.05)
    assert difference.low is not None
    assert difference.low > 0


def test_a_pair_counts_only_where_both_are_defined() -> None:
    difference = paired_difference([0.5, NAN, 0.9, 0.1], [0.4, 0.2, NAN, 0.1])
    assert (difference.n, difference.undefined) == (2, 2)
    assert difference.mean == pytest.approx(0.05)


def test_scores_by_metric_and_label() -> None:
    scores = [{"dice": 0.5, "nsd": NAN}, {"dice": 0.7}, {"dice": 0.1, "area": 3.0}]
    table = summarise_scores(scores)
    assert list(table) == ["dice", "nsd", "area"]
    assert (table["nsd"].n, table["nsd"].undefined) == (0, 3)
    assert table["area"].mean == 3
    labels = by_label(scores, ["mass", "cyst", "mass"], ["a", "b", "c"])
    assert list(labels) == ["cyst", "mass"]
    assert labels["mass"]["dice"].mean == pytest.approx(0.3)


def test_wrong_lengths_and_infinities_are_refused() -> None:
    with pytest.raises(ValueError, match="infinite"):
        summarise([1.0, float("inf")])
    with pytest.raises(ValueError, match="groups"):
        summarise([1.0], ["a", "b"])
    with pytest.raises(ValueError, match="same cases"):
        paired_difference([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="label"):
        by_label([{"dice": 1.0}], [])


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(0, 1) | st.just(NAN), max_size=12))
def test_no_nan_ever_leaves(values: list[float]) -> None:
    estimate = summarise(values, draws=50)
    for number in (estimate.mean, estimate.sd, estimate.low, estimate.high):
        assert number is None or np.isfinite(number)
    assert estimate.n + estimate.undefined == len(values)
