"""Statistics of whole splits: their value, and intervals that respect groups, pairs and runs."""

import time
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from components.core.metrics.statistic import (
    Arrays,
    Judged,
    judged,
    statistic_difference,
    summarise_statistics,
)
from components.core.metrics.summary import paired_difference, summarise

CLASSES = 4


def average(evidence: Arrays) -> float:
    return float(evidence["value"].mean())


def macro_f1(evidence: Arrays) -> float:
    return float(f1_score(evidence["truth"], evidence["probability"].argmax(axis=1), average="macro", zero_division=0))


def recall_of_first(evidence: Arrays) -> float:
    chosen = evidence["truth"] == 0
    if not chosen.any():
        return float("nan")
    return float((evidence["probability"].argmax(axis=1) == 0)[chosen].mean())


def values(numbers: NDArray[np.float64], groups: list[str] | None = None) -> Judged:
    ids = [f"case {n}" for n in range(len(numbers))]
    return judged(ids, groups or ids, [{"value": np.asarray(one)} for one in numbers])


def classified(seed: int, size: int, skill: float = 1.0, per_group: int = 2) -> Judged:
    generator = np.random.Generator(np.random.Philox(seed))
    truth = np.arange(size) % CLASSES
    logits = generator.normal(size=(size, CLASSES))
    logits[np.arange(size), truth] += skill
    evidence: list[Mapping[str, NDArray[np.float64]]] = [
        {"truth": np.float64(t) * np.ones(()), "probability": np.exp(one) / np.exp(one).sum()}
        for t, one in zip(truth, logits, strict=True)
    ]
    return judged([f"case {n}" for n in range(size)], [f"patient {n // per_group}" for n in range(size)], evidence)


def test_a_mean_as_a_statistic_is_the_mean_with_its_interval() -> None:
    numbers = np.random.Generator(np.random.Philox(1)).normal(size=40)
    groups = [f"p{n // 3}" for n in range(40)]
    found = summarise_statistics({"mean": average}, values(numbers, groups), seed=5, draws=500)["mean"]
    expected = summarise(numbers, groups, seed=5, draws=500)
    assert (found.n, found.undefined, found.sd) == (40, 0, None)
    for name in ("mean", "low", "high"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_the_value_is_that_of_the_library_and_the_interval_that_of_the_naive_bootstrap() -> None:
    cases = classified(2, 60)
    found = summarise_statistics({"f1": macro_f1}, cases, draws=600)["f1"]
    assert found.mean == macro_f1(cases.arrays)
    generator = np.random.Generator(np.random.Philox(77))
    drawn = []
    for _ in range(600):
        patients = generator.integers(0, 30, 30)
        rows = [row for patient in patients for row in (2 * patient, 2 * patient + 1)]
        drawn.append(macro_f1({name: value[rows] for name, value in cases.arrays.items()}))
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert found.low == pytest.approx(low, abs=0.15 * (high - low))
    assert found.high == pytest.approx(high, abs=0.15 * (high - low))


def test_equal_seeds_give_equal_intervals_and_statistics_share_their_draws() -> None:
    cases = classified(3, 40)
    both = summarise_statistics({"f1": macro_f1, "first": recall_of_first}, cases, seed=1, draws=200)
    assert both["f1"] == summarise_statistics({"f1": macro_f1}, cases, seed=1, draws=200)["f1"]
    assert both["f1"] != summarise_statistics({"f1": macro_f1}, cases, seed=2, draws=200)["f1"]


def test_draws_in_which_it_is_undefined_are_left_out_and_counted() -> None:
    truth = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    sure = np.asarray([0.9, 0.1])
    evidence = [{"truth": np.asarray(one), "probability": sure} for one in truth]
    ids = [str(n) for n in range(6)]
    found = summarise_statistics({"recall": recall_of_first}, judged(ids, ids, evidence), draws=1000)["recall"]
    assert found.lost_draws == pytest.approx(1000 * (4 / 6) ** 6, rel=0.25)
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)


def test_no_interval_rests_on_a_minority_of_the_draws() -> None:
    calls = iter(range(10_000))

    def seldom(evidence: Arrays) -> float:
        return 0.5 if next(calls) % 3 == 0 else float("nan")

    found = summarise_statistics({"seldom": seldom}, values(np.arange(9.0)), draws=300)["seldom"]
    assert (found.mean, found.low, found.high, found.lost_draws) == (0.5, None, None, 200)


def test_what_is_undefined_is_said_and_not_nan() -> None:
    nothing = summarise_statistics({"mean": average}, values(np.zeros(0)))["mean"]
    assert (nothing.n, nothing.mean, nothing.low) == (0, None, None)
    one = summarise_statistics({"mean": average}, values(np.ones(1)))["mean"]
    assert (one.n, one.mean, one.low) == (1, 1.0, None)
    ids = ["a", "b", "c"]
    some = judged(ids, ids, [{"value": np.ones(())}, {}, {"value": np.asarray(np.nan)}])
    found = summarise_statistics({"mean": average}, some)["mean"]
    assert (found.n, found.undefined, found.mean) == (1, 2, 1.0)
    absent = summarise_statistics({"first": recall_of_first}, classified(0, 8).keep([1, 2, 3, 5]))["first"]
    assert (absent.n, absent.undefined, absent.mean) == (0, 4, None)


def test_a_paired_difference_is_that_of_the_values_and_narrower_than_both_intervals() -> None:
    numbers = 3 * np.random.Generator(np.random.Philox(6)).normal(size=40)
    better = numbers + 0.2 + 0.1 * np.random.Generator(np.random.Philox(7)).normal(size=40)
    found = statistic_difference(average, values(better), values(numbers), seed=3, draws=400)
    ids = [f"case {n}" for n in range(40)]
    expected = paired_difference(better, numbers, ids, seed=3, draws=400)
    assert (found.n, found.mean, found.low, found.high) == (
        40,
        pytest.approx(expected.mean),
        pytest.approx(expected.low),
        pytest.approx(expected.high),
    )


def test_pairs_are_told_by_id_and_what_has_no_partner_is_left_out() -> None:
    ours = judged(["a", "b", "c"], ["p", "q", "r"], [{"value": np.asarray(n)} for n in (1.0, 2.0, 4.0)])
    theirs = judged(["d", "c", "b"], ["s", "r", "q"], [{"value": np.asarray(n)} for n in (9.0, 1.0, 1.5)])
    found = statistic_difference(average, ours, theirs, draws=100)
    assert (found.n, found.undefined) == (2, 2)
    assert found.mean == pytest.approx(3.0 - 1.25)


def test_runs_are_averaged_and_their_groups_drawn_jointly() -> None:
    cases = [classified(seed, 40) for seed in (11, 12, 13)]
    together = judged(
        [name for one in cases for name in one.ids],
        [name for one in cases for name in one.groups],
        [{name: value[row] for name, value in one.arrays.items()} for one in cases for row in range(40)],
        [run for run in range(3) for _ in range(40)],
    )
    found = summarise_statistics({"f1": macro_f1}, together, draws=400)["f1"]
    assert found.n == 40, "a case counts once, however often the model was trained"
    assert found.mean == pytest.approx(np.mean([macro_f1(one.arrays) for one in cases]))
    same = judged(
        list(cases[0].ids) * 3,
        list(cases[0].groups) * 3,
        [{name: value[row] for name, value in cases[0].arrays.items()} for _ in range(3) for row in range(40)],
        [run for run in range(3) for _ in range(40)],
    )
    alone = summarise_statistics({"f1": macro_f1}, cases[0], draws=400)["f1"]
    copied = summarise_statistics({"f1": macro_f1}, same, draws=400)["f1"]
    assert (copied.low, copied.high) == (pytest.approx(alone.low), pytest.approx(alone.high)), "copies tell nothing new"


def test_evidence_of_other_names_or_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="names"):
        judged(["a", "b"], ["a", "b"], [{"value": np.ones(())}, {"truth": np.ones(())}])
    with pytest.raises(ValueError, match="groups"):
        judged(["a", "b"], ["a"], [{}, {}])


def test_two_thousand_draws_of_a_hundred_cases_take_a_second_at_most() -> None:
    cases = classified(4, 100)

    def accuracy(evidence: Arrays) -> float:
        return float((evidence["probability"].argmax(axis=1) == evidence["truth"]).mean())

    began = time.process_time()
    summarise_statistics({"accuracy": accuracy}, cases, draws=2000)
    assert time.process_time() - began < 1


def test_labels_that_are_unknown_in_part_leave_no_case_out() -> None:
    truth = [[1.0, np.nan], [0.0, 1.0], [np.nan, np.nan], [np.nan, 0.0]]
    evidence = [{"truth": np.asarray(one), "probability": np.full(2, 0.5)} for one in truth]
    ids = ["a", "b", "c", "d"]
    found = judged(ids, ids, evidence)
    assert (found.ids, found.undefined) == (["a", "b", "d"], 1)
    unsure = judged(ids[:2], ids[:2], [{**evidence[0], "probability": np.asarray([0.5, np.nan])}, evidence[1]])
    assert (unsure.ids, unsure.undefined) == (["b"], 1), "an answer has no unknown part"


def test_statistics_of_a_draw_see_one_mapping() -> None:
    seen: list[Arrays] = []

    def once(evidence: Arrays) -> float:
        if not seen or seen[-1] is not evidence:
            seen.append(evidence)
        return average(evidence)

    three = {"a": once, "b": once, "c": once}
    found = summarise_statistics(three, values(np.arange(6.0)), draws=40)
    assert len(seen) == 1 + 40 and found["a"] == found["b"] == found["c"]
