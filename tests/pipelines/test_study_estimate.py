"""Metrics that are no means over cases: per seed, averaged, resampled by patient; and what is drawn of training."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from components.core.errors import BadInput
from components.core.metrics.classification import f1_macro
from components.recipes.contract import CasePrediction
from pipelines.study.estimate import Estimator
from pipelines.study.results import over_seeds
from pipelines.study.trainable import Phase, _trainable, paint_trainable

STATISTICS = {"f1_macro": f1_macro}
CLASSES, CASES = 3, 24


def cases(seed: int, skill: float) -> list[CasePrediction]:
    """Predictions that are right the more often the greater the skill; two pictures of every leaf."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(CASES):
        truth = number % CLASSES
        probability = random.dirichlet(np.ones(CLASSES)) + skill * np.eye(CLASSES)[truth]
        evidence = {"truth": np.asarray(float(truth)), "probability": probability / probability.sum()}
        scores = {"probability_of_truth": float(evidence["probability"][truth])}
        found.append(CasePrediction(f"case-{number}", "", f"leaf-{number // 2}", scores, evidence=evidence))
    return found


def oracle(found: list[CasePrediction]) -> float:
    truth = [int(case.evidence["truth"]) for case in found]
    predicted = [int(case.evidence["probability"].argmax()) for case in found]
    return float(f1_score(truth, predicted, average="macro"))


GOOD = {seed: cases(seed, 0.6) for seed in (0, 1, 5)}
POOR = {seed: cases(seed + 100, 0.1) for seed in (0, 1, 5)}


def test_a_statistic_is_computed_seed_by_seed() -> None:
    found = Estimator("f1_macro", STATISTICS, 300).of(GOOD, "test")
    by_seed = {str(seed): pytest.approx(oracle(one)) for seed, one in GOOD.items()}
    assert found["seeds"] == by_seed
    assert found["mean"] == pytest.approx(np.mean([oracle(one) for one in GOOD.values()]))
    assert found["sd_seeds"] == pytest.approx(np.std([oracle(one) for one in GOOD.values()], ddof=1))
    assert found["n"] == CASES
    assert found["low"] < found["mean"] < found["high"]


def test_a_difference_of_a_statistic_is_paired() -> None:
    found = Estimator("f1_macro", STATISTICS, 300).difference(GOOD, POOR, "test")
    each = {seed: oracle(GOOD[seed]) - oracle(POOR[seed]) for seed in GOOD}
    assert found["mean"] == pytest.approx(np.mean(list(each.values())))
    assert found["seeds"] == {str(seed): pytest.approx(value) for seed, value in each.items()}
    assert found["low"] < found["mean"] < found["high"]
    same = Estimator("f1_macro", STATISTICS, 300).difference(GOOD, GOOD, "test")
    assert (same["mean"], same["low"], same["high"], same["sd_seeds"]) == (0, 0, 0, 0)


def test_only_seeds_of_both_sides_are_compared() -> None:
    some = {seed: GOOD[seed] for seed in (0, 5)}
    found = Estimator("f1_macro", STATISTICS, 100).difference(some, POOR, "test")
    assert list(found["seeds"]) == ["0", "5"]


def test_a_score_is_averaged_over_seeds_before_cases() -> None:
    found = Estimator("probability_of_truth", STATISTICS, 100).of(GOOD, "test")
    assert found["mean"] == pytest.approx(np.mean([c.scores["probability_of_truth"] for g in GOOD.values() for c in g]))
    assert found["n"] == CASES, "a case counts once however many seeds there are"
    with pytest.raises(BadInput, match="no metric 'f1'") as error:
        Estimator("f1", STATISTICS, 100).of(GOOD, "test")
    assert "f1_macro, probability_of_truth" in error.value.remedy


def test_without_cases_the_interval_is_student_s() -> None:
    found = over_seeds({0: 0.1, 1: 0.2, 2: 0.3})
    assert found["mean"] == pytest.approx(0.2)
    half = 4.302653 * 0.1 / 3**0.5  # t of 2 degrees of freedom, two-sided 95 %
    assert (found["low"], found["high"]) == (pytest.approx(0.2 - half), pytest.approx(0.2 + half))
    assert over_seeds({0: 0.1})["low"] is None


def test_trainable_parameters_are_those_that_have_a_rate() -> None:
    counts: Mapping[str, int] = {"head": 10, "backbone.early.0": 1000}
    row = {"epoch": 0.0, "train/loss": 1.0, "rate/head": 1e-3}
    assert _trainable(row, counts) == 10
    assert _trainable({**row, "rate/backbone.early.0": 1e-4}, counts) == 1010


def test_variants_that_train_alike_share_a_line() -> None:
    gradual = [Phase("warmup", [10, 10]), Phase("end_to_end", [1010])]
    at_once = [Phase("warmup", []), Phase("end_to_end", [1010, 1010, 1010])]
    picture = paint_trainable({"a": gradual, "b": gradual, "c": at_once})
    assert picture.startswith(b"\x89PNG")
    assert picture == paint_trainable({"a": gradual, "b": gradual, "c": at_once})
    assert picture != paint_trainable({"a": gradual, "b": gradual, "c": gradual})


def test_undefined_cases_leave_the_rest() -> None:
    holes: dict[int, list[CasePrediction]] = {
        seed: [CasePrediction(one.id, "", one.group, {"probability_of_truth": float("nan")}), *rest]
        for seed, (one, *rest) in GOOD.items()
    }
    found = Estimator("probability_of_truth", {}, 100).of(holes, "test")
    assert found["n"] == CASES - 1
    kept: NDArray[np.float64] = np.array([c.scores["probability_of_truth"] for g in GOOD.values() for c in g[1:]])
    assert found["mean"] == pytest.approx(kept.mean())
