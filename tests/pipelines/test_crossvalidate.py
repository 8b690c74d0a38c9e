"""Folds and seeds: what is averaged before what is compared."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from components.core.metrics.statistic import Arrays, judged, statistic_difference, summarise_statistics
from components.evaluate.cases import cases_csv
from components.evaluate.system import System
from components.recipes.contract import CasePrediction
from pipelines import crossvalidate
from pipelines.crossvalidate import Tests, results_table
from pipelines.local import Run, output

NAN = math.nan


def dice_of(**systems: dict[int, dict[str, float]]) -> Tests:
    """Dice by case, seed and system; a patient's cases begin with the same letter."""
    return {
        name: {
            seed: [CasePrediction(case, "", f"patient {case[0]}", {"dice": value}) for case, value in values.items()]
            for seed, values in by_seed.items()
        }
        for name, by_seed in systems.items()
    }


def aggregate(found: Tests) -> dict[str, Any]:
    return crossvalidate.aggregate(found, "dice", {})


def test_a_case_counts_once_however_many_seeds_there_are() -> None:
    found = aggregate(dice_of(warmup={0: {"a1": 0.2, "b1": 0.6}, 1: {"a1": 0.4, "b1": 1.0}}))["systems"]["warmup"]
    assert found["n"] == 2
    assert found["mean"] == pytest.approx((0.3 + 0.8) / 2)
    assert found["seeds"] == {"0": pytest.approx(0.4), "1": pytest.approx(0.7)}


def test_intervals_resample_patients() -> None:
    """Cases of one patient are not independent: many of them do not narrow the interval."""
    few = aggregate(dice_of(warmup={0: {"a1": 0.0, "b1": 1.0, "c1": 0.5}}))["systems"]["warmup"]
    copies = {f"{patient}{n}": value for patient, value in (("a", 0.0), ("b", 1.0), ("c", 0.5)) for n in range(9)}
    many = aggregate(dice_of(warmup={0: copies}))["systems"]["warmup"]
    assert many["high"] - many["low"] >= few["high"] - few["low"] - 0.05


def test_differences_are_paired_case_by_case() -> None:
    hard, easy = {f"a{n}": 0.1 * n for n in range(8)}, {f"a{n}": 0.1 * n + 0.1 for n in range(8)}
    for number, case in enumerate(list(hard)):  # every case a patient of its own
        hard[f"{number}x"], easy[f"{number}x"] = hard.pop(case), easy.pop(case)
    found = aggregate(dice_of(warmup={0: hard}, end_to_end={0: easy}))["differences"]
    assert list(found) == ["end_to_end - warmup"]
    assert found["end_to_end - warmup"]["low"] == pytest.approx(0.1)
    assert found["end_to_end - warmup"]["high"] == pytest.approx(0.1)


def test_undefined_cases_are_left_out_of_means_and_pairs() -> None:
    found = aggregate(dice_of(untrained={0: {"a": 0.5, "b": NAN}}, warmup={0: {"a": 0.7, "b": 0.9}}))
    assert found["systems"]["untrained"]["n"] == 1
    assert found["differences"]["warmup - untrained"]["n"] == 1
    assert found["differences"]["warmup - untrained"]["mean"] == pytest.approx(0.2)


def test_every_fold_runs_with_every_seed_on_one_division(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[tuple[int, int]] = []

    def run_all(run: Run, until: str) -> dict[str, Any]:
        assert until == "evaluate", "an export per fold would be of no use"
        seed, fold = run.values["seed"], run.values["split"]["fold"]
        assert run.values["split"] == {"seed": 7, "folds": 3, "fold": fold}
        ran.append((seed, fold))
        file = output(run, "evaluate", "cases")
        file.parent.mkdir(parents=True)
        with file.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream)
            table.writerow(["system", "id", "label", "group", "dice"])
            for system, value in (("untrained", "0.25"), ("warmup", ""), ("end_to_end", f"0.{seed + 5}")):
                table.writerow([system, f"case-{fold}", "lesion", f"patient-{fold}", value])
        return {"synthetic": True, "stages": {"evaluate": {"metrics": {"headline": "dice"}}}}

    monkeypatch.setattr(crossvalidate, "run_all", run_all)
    run = Run("toy", "tiny", {"split": {"seed": 7}}, "a test", None, tmp_path)
    found = crossvalidate.crossvalidate(run, 3, [0, 2])
    assert ran == [(seed, fold) for seed in (0, 2) for fold in range(3)]
    assert found["systems"]["end_to_end"]["n"] == 3
    assert found["systems"]["end_to_end"]["mean"] == pytest.approx(0.6)
    assert "synthetic" in str(results_table(found).title), "nobody should take these for patients"
    assert json.loads((tmp_path / crossvalidate.RESULTS).read_text(encoding="utf-8"))["seeds"] == [0, 2]


def test_the_table_shows_what_is_undefined_as_that() -> None:
    found = {"headline": "dice", "synthetic": False, "folds": 3, "seeds": [0, 1]} | aggregate(
        dice_of(warmup={0: {"a": 0.5}, 1: {"a": 0.7}}, untrained={0: {"a": NAN}})
    )
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(results_table(found))
    text = console.export_text()
    assert "0.600" in text
    assert "undefined" in text


def test_runs_that_share_a_store_have_prefixes_of_their_own(tmp_path: Path) -> None:
    values = {"runtime": {"checkpoints": {"store": "s3://bucket/cv/"}}}
    run = Run("recipe", "tiny", values, "test", None, tmp_path)
    one = crossvalidate.member_run(run, folds=5, fold=3, seed=2)
    assert one.values["runtime"]["checkpoints"]["store"] == "s3://bucket/cv/seed-2/fold-3"
    assert one.values["split"] == {"folds": 5, "fold": 3}
    assert one.out == tmp_path / "seed-2" / "fold-3"


def precision(evidence: Arrays) -> float:
    """No mean over cases: of those that were taken for the class, those that are of it."""
    taken = evidence["guess"] > 0
    return float(evidence["truth"][taken].mean()) if taken.any() else NAN


def guessed(fold: int, seed: int, flip: int) -> list[CasePrediction]:
    """Six cases of three patients; every `flip`-th is guessed wrong, which ones the seed tells."""
    cases = []
    for n in range(6):
        truth = float((n + fold) % 2)
        guess = 1 - truth if (n + seed) % flip == 0 else truth
        evidence = {"truth": np.asarray(truth), "guess": np.asarray(guess)}
        cases.append(CasePrediction(f"{fold}-{n}", "", f"{fold}-patient-{n // 2}", {"right": 1.0}, evidence=evidence))
    return cases


def test_a_headline_of_the_whole_split_is_computed_of_all_folds_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flips = {"untrained": 2, "warmup": 3, "end_to_end": 5}

    def run_all(run: Run, until: str) -> dict[str, Any]:
        seed, fold = run.values["seed"], run.values["split"]["fold"]
        file = output(run, "evaluate", "cases")
        file.parent.mkdir(parents=True)
        systems = [System(name, guessed(fold, seed, flip), []) for name, flip in flips.items()]
        file.write_text(cases_csv(systems), encoding="utf-8")
        return {"synthetic": True, "stages": {"evaluate": {"metrics": {"headline": "precision"}}}}

    monkeypatch.setattr(crossvalidate, "run_all", run_all)
    monkeypatch.setattr(crossvalidate, "_statistics", lambda _: {"precision": precision})
    run = Run("toy", "tiny", {"split": {"seed": 7}}, "a test", None, tmp_path)
    results = crossvalidate.crossvalidate(run, 2, [0, 1])

    def together(flip: int) -> Any:
        pairs = [(seed, case) for seed in (0, 1) for fold in (0, 1) for case in guessed(fold, seed, flip)]
        return judged(
            [case.id for _, case in pairs],
            [case.group for _, case in pairs],
            [case.evidence for _, case in pairs],
            [seed for seed, _ in pairs],
        )

    for name, flip in flips.items():
        expected = summarise_statistics({"precision": precision}, together(flip))["precision"]
        found = results["systems"][name]
        assert (found["n"], found["mean"], found["low"]) == (12, expected.mean, expected.low)
        pooled = [
            precision(
                judged(["x"] * 12, ["x"] * 12, [c.evidence for f in (0, 1) for c in guessed(f, seed, flip)]).arrays
            )
            for seed in (0, 1)
        ]
        assert found["seeds"] == {"0": pytest.approx(pooled[0]), "1": pytest.approx(pooled[1])}
        assert found["mean"] == pytest.approx(np.mean(pooled))
    difference = statistic_difference(precision, together(5), together(3))
    assert results["differences"]["end_to_end - warmup"]["mean"] == pytest.approx(difference.mean)
    assert "precision" in str(results_table(results).columns[1].header)
