"""A study shares what is the same, goes on where it stopped, and tells differences with their intervals."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from study_toys import Toys, toy_run, toys  # noqa: F401  a fixture

from components.core.errors import BadInput
from components.evaluate.cases import CaseTable
from pipelines.local import Run
from pipelines.study import conduct as conducting
from pipelines.study import plan as plan_of_study
from pipelines.study import results
from pipelines.study.conduct import PICTURE, RESULTS, conduct
from pipelines.study.picture import paint
from pipelines.study.plan import StudyRun, plan
from pipelines.study.sheets import sheets
from pipelines.study.values import Measure, Study

DRAWS = 200


def study(*measures: Measure, **variants: dict[str, Any]) -> Study:
    return Study(variants=variants, measures=list(measures))


HELP = Measure(name="does it help?", of="better/end_to_end", against="plain/end_to_end")
TWO = study(HELP, better={"warmup": {"gain": 0.5}}, plain={})


def test_all_variants_of_a_seed_come_before_the_next_seed(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    runs = plan(TWO, toy_run(tmp_path), [3, 1], workers=1)
    assert [(one.variant, one.seed) for one in runs] == [("better", 3), ("plain", 3), ("better", 1), ("plain", 1)]
    assert {one.run.values["seed"] for one in runs} == {1, 3}
    assert all(one == StudyRun.load(json.loads(json.dumps(one.dump()))) for one in runs)


def test_runs_share_the_stages_that_are_the_same(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    judged = study(plain={}, other={"evaluate": {"draws": 3}}, better={"warmup": {"gain": 0.5}})
    conduct(judged, toy_run(tmp_path), [0, 1], draws=DRAWS)
    assert [one for one in toys.ran if one[0] == "prepare"] == [("prepare", 0.0, 0)], "a seed changes no data"
    trained = [one for one in toys.ran if one[0] == "warmup"]
    assert trained == [("warmup", 0.2, 0), ("warmup", 0.5, 0), ("warmup", 0.2, 1), ("warmup", 0.5, 1)]
    assert len([one for one in toys.ran if one[0] == "evaluate"]) == 6
    summary = json.loads((tmp_path / "runs/other/seed-1/summary.json").read_text(encoding="utf-8"))
    same = json.loads((tmp_path / "runs/plain/seed-1/summary.json").read_text(encoding="utf-8"))
    assert summary["stages"]["warmup"]["folder"] == same["stages"]["warmup"]["folder"]
    assert summary["stages"]["warmup"]["seconds"] == same["stages"]["warmup"]["seconds"]
    folder = (tmp_path / "runs/other/seed-1" / summary["stages"]["warmup"]["folder"]).resolve()
    assert folder.parent == (tmp_path / "stages/warmup").resolve()
    assert len(folder.name) == 16 and (folder / "model").exists()


def test_a_finished_study_does_nothing(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    first = conduct(TWO, toy_run(tmp_path), [0], draws=DRAWS)
    written = (tmp_path / RESULTS).read_bytes(), (tmp_path / PICTURE).read_bytes()
    toys.ran.clear()
    assert conduct(TWO, toy_run(tmp_path), [0], draws=DRAWS) == first
    assert toys.ran == []
    assert ((tmp_path / RESULTS).read_bytes(), (tmp_path / PICTURE).read_bytes()) == written


def test_one_that_was_stopped_goes_on_where_it_stopped(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    def die(stage: str, folder: Path) -> None:
        if stage == "warmup" and len(toys.ran) > 3 and not list(tmp_path.rglob("unfinished")):
            (folder / "unfinished").touch()
            raise KeyboardInterrupt

    toys.before = die
    with pytest.raises(KeyboardInterrupt):
        conduct(TWO, toy_run(tmp_path), [0, 1], draws=DRAWS)
    done = list(toys.ran)
    found = conduct(TWO, toy_run(tmp_path), [0, 1], draws=DRAWS)
    assert toys.ran[: len(done)] == done and len(toys.ran) == len(set(toys.ran)), "nothing was done twice"
    resumed = [folder for folder in (tmp_path / "stages/warmup").iterdir() if (folder / "unfinished").exists()]
    assert len(resumed) == 1 and (resumed[0] / "model").exists(), "it came back to the same folder"
    assert json.loads((resumed[0] / "cost.json").read_text())["sessions"] == 2
    undisturbed = conduct(TWO, toy_run(tmp_path / "undisturbed"), [0, 1], draws=DRAWS)
    for name in ("systems", "measures"):
        assert found[name] == undisturbed[name]


def test_differences_are_paired_over_cases_and_seeds(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    found = conduct(TWO, toy_run(tmp_path), [0, 2], draws=DRAWS)
    mean = found["systems"]["better"]["end_to_end"]
    assert mean["mean"] == pytest.approx(0.2 + 0.5 + 0.01)
    assert mean["seeds"] == {"0": pytest.approx(0.7), "2": pytest.approx(0.72)}
    assert mean["sd_seeds"] == pytest.approx(0.02 / 2**0.5)
    assert mean["low"] < mean["mean"] < mean["high"]
    difference = found["measures"]["does it help?"]
    assert (difference["mean"], difference["low"], difference["high"]) == (pytest.approx(0.3),) * 3
    assert difference["n"] == 5 and difference["sd_seeds"] == pytest.approx(0.0, abs=1e-12)
    assert found["synthetic"] and found["headline"] == "dice"


def test_a_stage_s_own_numbers_can_be_compared(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    probe = Measure(name="probe", of="better", against="plain", stage="warmup", metric="probe.after")
    found = conduct(study(probe, better={"warmup": {"gain": 0.5}}, plain={}), toy_run(tmp_path), [0, 1, 2])
    assert {one[0] for one in toys.ran} == {"prepare", "warmup"}, "nothing asks for an evaluation"
    assert found["measures"]["probe"]["mean"] == pytest.approx(0.3)
    assert found["measures"]["probe"]["n"] == 3
    assert found["systems"] == {}
    wrong = Measure(name="probe", of="better", against="plain", stage="warmup", metric="probe.aftr")
    with pytest.raises(BadInput, match="no key of warmup's metrics 'aftr'") as error:
        conduct(study(wrong, better={"warmup": {"gain": 0.5}}, plain={}), toy_run(tmp_path), [0])
    assert "did you mean 'after'?" in error.value.remedy


@pytest.mark.parametrize(
    ("measure", "told"),
    [
        (HELP.model_copy(update={"of": "better/end_to_edn"}), ["no system of better 'end_to_edn'", "end_to_end"]),
        (HELP.model_copy(update={"metric": "dise"}), ["no metric 'dise'", "dice"]),
    ],
)
def test_a_wrong_name_is_told_after_the_first_run(
    toys: Toys,  # noqa: F811
    tmp_path: Path,
    measure: Measure,
    told: list[str],
) -> None:
    with pytest.raises(BadInput) as error:
        conduct(study(measure, better={"warmup": {"gain": 0.5}}, plain={}), toy_run(tmp_path), [0, 1, 2])
    assert all(part in str(error.value) for part in told)
    assert len([one for one in toys.ran if one[0] == "evaluate"]) == 1


def test_results_are_written_after_every_round_of_seeds(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    seen: list[list[int]] = []

    def look(_stage: str, _folder: Path) -> None:
        if (tmp_path / RESULTS).exists():
            seen.append(json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))["seeds"])

    toys.before = look
    conduct(TWO, toy_run(tmp_path), [5, 6, 7], draws=DRAWS)
    assert [5] in seen and [5, 6] in seen


def test_the_order_in_which_runs_end_changes_nothing(
    toys: Toys,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = conduct(TWO, toy_run(tmp_path), [0, 1, 2], draws=DRAWS)
    written = (tmp_path / RESULTS).read_bytes()
    forward = conducting.plan
    monkeypatch.setattr(conducting, "plan", lambda *given: forward(*given)[::-1])
    assert conduct(TWO, toy_run(tmp_path), [0, 1, 2], draws=DRAWS) == first
    assert (tmp_path / RESULTS).read_bytes() == written


def test_a_restart_does_everything_once_again(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    conduct(TWO, toy_run(tmp_path), [0], draws=DRAWS)
    before = sorted(toys.ran)
    toys.ran.clear()
    again = toy_run(tmp_path, runtime={"restart": True})
    conduct(TWO, again, [0], draws=DRAWS)
    assert sorted(toys.ran) == before, "once, though two runs share the data"


@pytest.mark.parametrize("workers", [1, 4])
def test_runs_compute_alike_however_many_there_are_side_by_side(
    toys: Toys,  # noqa: F811
    tmp_path: Path,
    workers: int,
) -> None:
    runs = plan(TWO, toy_run(tmp_path), [0], workers)
    assert {one.run.values["runtime"]["threads"] for one in runs} == {1}
    chosen = plan(TWO, toy_run(tmp_path, runtime={"threads": 3}), [0], workers)
    assert {one.run.values["runtime"]["threads"] for one in chosen} == {3}


def test_checkpoints_in_a_store_are_kept_apart(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    store = {"checkpoints": {"store": "s3://bucket/study/"}}
    conduct(TWO, toy_run(tmp_path, runtime=store), [0, 1], draws=DRAWS)
    stores = [config.runtime.checkpoints.store for config in toys.configs]
    assert len(set(stores)) == len(stores) == 8
    assert all(one and one.startswith("s3://bucket/study/") for one in stores)


def test_keys_can_be_taken_out(toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    run = toy_run(tmp_path, warmup={"gain": 0.2, "extra": 1.0})
    taken = study(plain={}, less={"without": ["warmup.extra"], "warmup": {"gain": 0.3}})
    found = {one.variant: one.run.values["warmup"] for one in plan(taken, run, [0], 1)}
    assert found == {"plain": {"gain": 0.2, "extra": 1.0}, "less": {"gain": 0.3}}
    monkeypatch.setattr(plan_of_study.stages, "NAMES", tuple(toys.stages))
    default = plan(study(less={"without": ["runtime.threads"]}), run, [0], 1)
    assert default[0].run.values["warmup"] == run.values["warmup"], "what no file states has its default already"
    with pytest.raises(BadInput, match=r"no key 'warmup\.extar'"):
        plan(study(less={"without": ["warmup.extar"]}), run, [0], 1)


@pytest.mark.parametrize(
    ("changes", "seeds", "workers", "told"),
    [
        ({}, [0, 0], 1, "every seed once"),
        ({}, [], 1, "every seed once"),
        ({}, [0], 0, "somebody has to do the work"),
        ({"runtime": {"extend_epochs": 3}}, [0], 1, "as configured"),
        ({"recipe": {"name": "other", "data": {}}}, [0], 1, "cannot be another recipe"),
    ],
)
def test_what_makes_no_sense_is_refused(
    toys: Toys,  # noqa: F811
    tmp_path: Path,
    changes: dict[str, Any],
    seeds: list[int],
    workers: int,
    told: str,
) -> None:
    with pytest.raises(BadInput, match=told):
        conduct(TWO, toy_run(tmp_path, **changes), seeds, workers)
    assert toys.ran == []


def test_variants_of_the_same_values_are_warned_of(
    toys: Toys,  # noqa: F811
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plan(study(plain={}, same={"warmup": {"gain": 0.2}}), toy_run(tmp_path), [0], 1)
    assert "plain and same have the same values" in caplog.text


def test_the_tables_read_the_same_in_markdown(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    found = conduct(TWO, toy_run(tmp_path), [0, 1], draws=DRAWS)
    differences, systems, costs = sheets(found)
    text = differences.markdown()
    assert (
        "| does it help? | better/end_to_end minus plain/end_to_end | dice | +0.300 | +0.300 to +0.300 | 0.000 | 5 |"
        in text
    )
    assert "synthetic data" in text, "nobody should take these for patients"
    assert "| better | end_to_end | 0.705 |" in systems.markdown()
    assert "untrained" not in systems.markdown(), "nothing asks about it"
    assert costs.columns == ["variant", "prepare", "warmup", "evaluate", "memory"]


def test_the_picture_shows_what_is_there(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    found = conduct(TWO, toy_run(tmp_path), [0, 1], draws=DRAWS)
    whole = paint(found)
    assert whole.startswith(b"\x89PNG") and whole == paint(found)
    assert paint({**found, "measures": {}}) != whole
    assert paint({**found, "measures": {}, "systems": {}}).startswith(b"\x89PNG")


def test_a_measure_needs_cases_in_common(toys: Toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    read = results.read_cases

    def others(file: Path) -> CaseTable:
        found = read(file)
        if found.systems["end_to_end"][0].scores["dice"] >= 0.3:
            return found
        other = {name: [replace(one, id=f"other {one.id}") for one in cases] for name, cases in found.systems.items()}
        return CaseTable(other, found.columns)

    monkeypatch.setattr(results, "read_cases", others)
    with pytest.raises(BadInput, match="judged on different cases"):
        conduct(TWO, toy_run(tmp_path), [0], draws=DRAWS)


def test_a_run_keeps_its_own_tensorboard(toys: Toys, tmp_path: Path) -> None:  # noqa: F811
    runs = plan(TWO, toy_run(tmp_path, runtime={"tensorboard": "board"}), [0], 1)
    assert [one.run.values["runtime"]["tensorboard"] for one in runs] == ["board/better", "board/plain"]
    assert isinstance(runs[0].run, Run)
