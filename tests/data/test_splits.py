"""Splits: no group crosses, every stratum in proportion, and nothing depends on order."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.core.data.splits import Ratios, Split, assign
from components.core.errors import BadInput


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Groups of up to 6 cases, each with strata of its own."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=12, max_size=60))
    groups = [f"g{index}" for index, size in enumerate(sizes) for _ in range(size)]
    strata = draw(st.lists(st.sampled_from("abc"), min_size=len(groups), max_size=len(groups)))
    return groups, strata


def divided(groups: list[str], strata: list[str], split: Split) -> list[str] | None:
    try:
        return assign(groups, strata, split)
    except BadInput as error:
        if "train would hold no case" not in error.what:
            raise
        return None  # a stratum of one group has to be tested once


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 5))
def test_groups_never_cross_and_no_split_is_empty(case: tuple[list[str], list[str]], seed: int) -> None:
    groups, strata = case
    parts = assign(groups, strata, Split(seed=seed))
    assert set(parts) == {"train", "val", "test"}
    assert len(set(zip(groups, parts, strict=True))) == len(set(groups))
    assert {stratum for stratum, part in zip(strata, parts, strict=True) if part == "train"} == set(strata)


@settings(max_examples=40, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_does_not_matter(case: tuple[list[str], list[str]], shuffler: random.Random) -> None:
    groups, strata = case
    before = dict(zip(groups, assign(groups, strata, Split()), strict=True))
    order = list(range(len(groups)))
    shuffler.shuffle(order)
    after = assign([groups[i] for i in order], [strata[i] for i in order], Split())
    assert after == [before[groups[i]] for i in order]


@settings(max_examples=30, deadline=None)
@given(cases(), st.integers(3, 6), st.booleans())
def test_every_case_is_tested_once(case: tuple[list[str], list[str]], folds: int, calibrated: bool) -> None:
    groups, strata = case
    ratios = Ratios(train=0.6, val=0.15, test=0.15, calibration=0.1) if calibrated and folds > 3 else Ratios()
    runs = [divided(groups, strata, Split(folds=folds, fold=fold, ratios=ratios)) for fold in range(folds)]
    for fold, parts in enumerate(runs):
        following = runs[(fold + 1) % folds]
        if parts is not None and following is not None:
            assert [part == "val" for part in parts] == [part == "test" for part in following]
            assert ("calibration" in parts) == (ratios.calibration > 0)
    if None not in runs:
        tested = [sum(parts[row] == "test" for parts in runs if parts) for row in range(len(groups))]
        assert tested == [1] * len(groups)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from("abcd"), st.integers(10, 90), min_size=1), st.integers(0, 9))
def test_single_cases_keep_every_stratum_in_proportion(sizes: dict[str, int], seed: int) -> None:
    strata = [stratum for stratum, size in sizes.items() for _ in range(size)]
    parts = assign([f"case{index}" for index in range(len(strata))], strata, Split(seed=seed))
    counts = Counter(zip(parts, strata, strict=True))
    for part, share in (("train", 0.7), ("val", 0.15), ("test", 0.15)):
        for stratum, size in sizes.items():
            assert abs(counts[part, stratum] - share * size) < 2
        assert abs(sum(counts[part, stratum] for stratum in sizes) - share * len(strata)) < 1 + len(sizes) / 2


def test_groups_are_balanced_nearly_as_well_as_cases() -> None:
    random.seed(0)
    groups = [f"g{index}" for index in range(100) for _ in range(random.randint(1, 8))]
    strata = [random.choice("aab") for _ in groups]
    counts = Counter(assign(groups, strata, Split(folds=5)))
    assert abs(counts["test"] / len(groups) - 0.2) < 0.02
    assert abs(counts["val"] / len(groups) - 0.2) < 0.02


def test_the_seed_matters() -> None:
    groups, strata = [f"g{index}" for index in range(40)], ["a"] * 40
    assert assign(groups, strata, Split(seed=0)) == assign(groups, strata, Split(seed=0))
    assert assign(groups, strata, Split(seed=0)) != assign(groups, strata, Split(seed=1))


def test_few_groups_fill_every_split() -> None:
    assert sorted(assign(list("xyz"), ["a"] * 3, Split())) == ["test", "train", "val"]
    assert Counter(assign(list("wxyz"), ["a"] * 4, Split())) == {"train": 2, "val": 1, "test": 1}


def test_too_few_groups() -> None:
    with pytest.raises(BadInput, match="2 groups cannot fill 3 splits"):
        assign(["x", "x", "y"], ["a"] * 3, Split())
    with pytest.raises(BadInput, match="4 groups cannot fill 5 folds"):
        assign(list("wxyz"), ["a"] * 4, Split(folds=5))


def test_a_rare_stratum_goes_to_train() -> None:
    groups, strata = [f"g{index}" for index in range(20)], ["a"] * 19 + ["rare"]
    for seed in range(10):
        assert assign(groups, strata, Split(seed=seed))[-1] == "train"


def test_a_stratum_absent_from_train() -> None:
    groups, strata = [f"g{index}" for index in range(9)], ["a"] * 8 + ["rare"]
    outcomes = [divided(groups, strata, Split(folds=3, fold=fold)) for fold in range(3)]
    assert sum(outcome is None for outcome in outcomes) == 2  # once it is tested, once it is val


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"ratios": {"train": 0.5}}, "sum to 0.8"),
        ({"fold": 1}, "set folds too"),
        ({"folds": 5, "fold": 5}, "does not exist"),
        ({"folds": 2}, "greater than or equal to 3"),
        ({"folds": 3, "ratios": {"train": 0.6, "calibration": 0.1}}, "4 or more folds"),
    ],
)
def test_configurations_that_mean_nothing(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Split.model_validate(values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 5)), min_size=12, max_size=40), st.integers(0, 5))
def test_every_stratum_reaches_every_split_if_there_are_groups(sizes: list[tuple[str, int]], seed: int) -> None:
    groups = [f"g{row}" for row, (_, size) in enumerate(sizes) for _ in range(size)]
    strata = [stratum for stratum, size in sizes for _ in range(size)]
    parts = assign(groups, strata, Split(seed=seed, every_stratum=True))
    assert len(set(zip(groups, parts, strict=True))) == len(sizes) and set(parts) == {"train", "val", "test"}
    held = set(zip(strata, parts, strict=True))
    for stratum, count in Counter(stratum for stratum, _ in sizes).items():
        assert (stratum, "train") in held
        if count >= 3:
            assert {(stratum, part) for part in ("train", "val", "test")} <= held


def test_without_the_wish_small_strata_go_where_sizes_say() -> None:
    groups, strata = [f"g{row}" for row in range(40)], ["a"] * 37 + ["rare"] * 3
    plain = Counter(zip(strata, assign(groups, strata, Split()), strict=True))
    complete = Counter(zip(strata, assign(groups, strata, Split(every_stratum=True)), strict=True))
    assert plain["rare", "train"] > 1 and complete["rare", "test"] == complete["rare", "val"] == 1
    assert sum(complete["a", part] for part in ("train", "val", "test")) == 37
