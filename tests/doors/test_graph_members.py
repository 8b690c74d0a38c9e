"""What a member of the graph leaves is found by content; what failed for good stays so, for every resubmitted graph."""

from pathlib import Path

import pytest

from components import stages
from components.core.component import command_line
from components.core.config import merge, read_params
from pipelines.cli import main
from pipelines.crossvalidate import member_run
from pipelines.local import Run, output_in, outputs_in, run_all
from pipelines.plan import Plan, make_plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = "freqmedclip"
PARAMS = Path(__file__).resolve().parents[2] / "pipelines" / "params" / f"{RECIPE}.yaml"
QUICK = {
    "warmup": {"epochs": 1},
    "partial_unfreeze": {"epochs": 0},
    "end_to_end": {"epochs": 1},
    "evaluate": {"baselines": False},
}


def run_member(plan: Plan, fold: str, seed: str, root: Path) -> None:
    """Run the command lines that one branch of a graph gives its containers, up to the evaluation."""
    for task in plan.tasks[:-1]:
        inputs = {port: str(output_in(root / source.stage, source.output)) for port, source in task.edges.items()}
        outputs = {port: str(path) for port, path in outputs_in(root / task.stage, stages.load(task.stage)).items()}
        member = {name: {"fold": fold, "seed": seed}[name] for name in task.node.member}
        assert main(command_line(task.stage, RECIPE, task.values, {**member, **inputs, **outputs})) == 0


def test_a_crossvalidation_takes_what_a_member_of_the_graph_has_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So `thaw crossvalidate` makes the table of what a cluster has run, and trains nothing."""
    monkeypatch.chdir(tmp_path)
    runtime = {"results": str(tmp_path / "results"), "progress": False}
    values = merge(read_params(PARAMS, "tiny"), {**QUICK, "runtime": runtime})
    plan = make_plan(RECIPE, merge(values, {"pipeline": {"folds": 3, "seeds": [1]}}))
    run_member(plan, plan.folds[2], plan.seeds[0], tmp_path / "pods")

    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a step is trained")

    monkeypatch.setattr("components.core.engine.step.Stepper.run", refuse)
    run = member_run(Run(RECIPE, "tiny", values, "test", None, tmp_path / "cv"), folds=3, fold=2, seed=1)
    summary = run_all(run, until="evaluate")
    made = (tmp_path / "pods" / "evaluate" / "metrics.json").read_bytes()
    assert (tmp_path / "cv" / "seed-1" / "fold-2" / "evaluate" / "metrics.json").read_bytes() == made
    assert summary["stages"]["evaluate"]["metrics"]["headline"] == "dice"


def test_a_resubmitted_graph_that_failed_for_good_fails_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """In pods the exit code is lost and every failure is retried: the store remembers."""
    monkeypatch.chdir(tmp_path)
    values = [
        "--size",
        "tiny",
        "--set",
        "runtime.progress=false",
        "--set",
        f"runtime.checkpoints.store={tmp_path / 'store'}",
    ]
    broken = [*values, "--set", "warmup.trainable.saliency_head=1.0e30", "--set", "warmup.epochs=3"]
    assert main(["pipeline", "run", RECIPE, *broken, "--root", "first"]) == 2
    assert (tmp_path / "store" / "warmup" / "failed.json").exists()
    capfd.readouterr()
    assert main(["pipeline", "run", RECIPE, *broken, "--root", "second"]) == 2
    printed = capfd.readouterr()
    assert "this very run has failed before, for good" in printed.out + printed.err
    assert "warmup failed (2)" in printed.err
