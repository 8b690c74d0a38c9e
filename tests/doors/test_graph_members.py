"""The graph of folds and seeds runs here; what it leaves is found by content; what failed for good stays so."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = "freqmedclip"
QUICK = [
    *("--set", "runtime.progress=false", "--set", "evaluate.baselines=false", "--set", "warmup.epochs=1"),
    *("--set", "partial_unfreeze.epochs=0", "--set", "end_to_end.epochs=1"),
]


def test_a_crossvalidation_takes_what_the_graph_s_pods_have_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    values = ["--size", "tiny", *QUICK, "--set", f"runtime.results={tmp_path / 'results'}"]
    members = ["--folds", "3", "--seeds", "1"]
    assert main(["pipeline", "run", RECIPE, *values, *members, "--root", "root"]) == 0
    printed = capfd.readouterr().out
    assert all(f"fold-{fold}/seed-1/evaluate.metrics" in printed for fold in range(3))

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a step is trained")

    monkeypatch.setattr("components.core.engine.step.Stepper.run", refuse)
    assert main(["crossvalidate", RECIPE, *values, *members, "--out", "cv"]) == 0
    results = json.loads((tmp_path / "cv" / "crossvalidation.json").read_text())
    assert (results["folds"], results["seeds"]) == (3, [1])
    assert results["systems"]["end_to_end"]["n"] > 0
    assert "fetched from" in capfd.readouterr().err


def test_a_resubmitted_graph_that_failed_for_good_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In pods the exit code is lost and every failure is retried: the store remembers."""
    monkeypatch.chdir(tmp_path)
    values = ["--size", "tiny", *QUICK, "--set", f"runtime.checkpoints.store={tmp_path / 'store'}"]
    broken = [*values, "--set", "warmup.trainable.saliency_head=1.0e30", "--set", "warmup.epochs=3"]
    assert main(["pipeline", "run", RECIPE, *broken, "--root", "first"]) == 2
    assert (tmp_path / "store" / "warmup" / "failed.json").exists()
    capfd.readouterr()
    assert main(["pipeline", "run", RECIPE, *broken, "--root", "second"]) == 2
    printed = capfd.readouterr()
    assert "this very run has failed before, for good" in printed.out + printed.err
    assert "warmup failed (2)" in printed.err
