"""The DVC door: `dvc repro` runs every stage once, then nothing, and what it deletes does not cost progress."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]

THAW = """#!{python}
import json, pathlib, sys
stage, recipe, *options = sys.argv[1:]
ports = dict(zip(options[::2], options[1::2]))
assert ports.pop("--size") == "tiny"
with open("calls", "a") as calls:
    print(stage, file=calls)
produced = {{
    "prepare": ["--dataset"],
    "pretrain": ["--encoder", "--metrics"],
    "evaluate": ["--metrics", "--report", "--cases", "--classes"],
    "export": ["--bundle"],
}}.get(stage, ["--model", "--metrics"])
for port, path in ports.items():
    path = pathlib.Path(path)
    if port not in produced:
        assert path.exists(), f"{{stage}} {{port}}: {{path}}"
        continue
    assert not path.exists(), "DVC removes an output before the stage makes it"
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.parent / f"{{stage}}.checkpoints"
    kept.mkdir(exist_ok=True)
    (kept / "step").write_text("1")
    if path.suffix == ".json":
        path.write_text(json.dumps({{"val": {{"dice": 0.5}}, "bars": [{{"label": "lesion", "dice": 0.25}}]}}))
    elif port == "--classes":
        path.write_text("actual,predicted\\n")
    elif path.suffix == ".csv":
        path.write_text("id,dice\\na,0.5\\n")
    elif path.suffix == ".html":
        path.write_text("<!doctype html>")
    else:
        path.mkdir()
        (path / "content").write_text(stage)
        history = [{{"epoch": 0.0, "train/loss": 2.0}}, {{"epoch": 1.0, "train/loss": 1.0}}]
        meta = {{"history": history, "recipe": {{"lists": [{{"a": 1}}]}}}}
        (path / "model.json").write_text(json.dumps({{"meta": meta}}))
"""

STAGES = ["prepare", "pretrain", "warmup", "partial-unfreeze", "end-to-end", "evaluate", "export"]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone with the project's DVC files and params, and a `thaw` that only writes its outputs.

    It has one recipe, for time's sake: the stages of all are the same lines.
    """
    project = tmp_path / "clone"
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, project / name)
    pipeline = project / "dvc.yaml"
    pipeline.write_text(re.sub(r"recipes: \[.*]", "recipes: [freqmedclip]", pipeline.read_text()))
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    (project / "components").mkdir()
    (project / "components" / "code.py").write_text("x = 1\n")
    shutil.copytree(ROOT / "pipelines" / "params", project / "pipelines" / "params")
    thaw = _write(tmp_path / "bin" / "thaw", THAW.format(python=sys.executable))
    thaw.chmod(0o755)
    monkeypatch.setenv("PATH", f"{thaw.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.chdir(project)
    return project


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _dvc(*words: str) -> str:
    done = subprocess.run([sys.executable, "-m", "dvc", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _calls(project: Path) -> list[str]:
    file = project / "calls"
    calls = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return calls


def _drawn() -> dict[str, Any]:
    """Charts by name."""
    drawn: dict[str, Any] = json.loads(_dvc("plots", "show", "--json"))["data"]
    return drawn


def test_repro_runs_every_stage_once_and_then_only_what_changed(clone: Path) -> None:
    _dvc("repro")
    assert _calls(clone) == STAGES
    _dvc("repro")
    assert _calls(clone) == []

    (clone / "components" / "__pycache__").mkdir()
    (clone / "components" / "__pycache__" / "code.pyc").write_text("")
    params = clone / "pipelines" / "params" / "freqmedclip.yaml"
    values = yaml.safe_load(params.read_text())
    values["tiny"]["evaluate"] = {"draws": 123}
    params.write_text(yaml.safe_dump(values))
    _dvc("repro")
    assert _calls(clone) == ["evaluate"], "the stage that uses the value; export sees the same metrics as before"

    kept = clone / "work" / "freqmedclip" / "warmup" / "warmup.checkpoints" / "step"
    (clone / "components" / "code.py").write_text("x = 2\n")
    _dvc("repro", "warmup@freqmedclip")
    assert _calls(clone) == ["prepare", "pretrain", "warmup"]
    assert kept.exists(), "checkpoints are not an output, so DVC leaves them"


def test_metrics_and_plots_are_declared(clone: Path) -> None:
    _dvc("repro")
    shown = json.loads(_dvc("metrics", "show", "--json"))[""]["data"]
    assert sorted(shown) == [
        f"work/freqmedclip/{stage}/metrics.json"
        for stage in ("end_to_end", "evaluate", "partial_unfreeze", "pretrain", "warmup")
    ]
    drawn = _drawn()
    cases, classes = (f"work/freqmedclip/evaluate/{name}.csv" for name in ("cases", "classes"))
    assert set(drawn) >= {"dice by label of freqmedclip", "loss of freqmedclip", cases, classes}
    assert drawn[classes] == [], "a recipe that does not classify draws nothing, and disturbs nothing"
    (bars,) = drawn["dice by label of freqmedclip"]
    assert bars["content"]["data"]["values"] == [{"label": "lesion", "dice": 0.25, "rev": "workspace"}]
    points = [point for one in drawn["loss of freqmedclip"] for point in one["content"]["data"]["values"]]
    assert sorted(point["train/loss"] for point in points if "train/loss" in point) == [1.0] * 3 + [2.0] * 3
    (clone / classes).write_text("actual,predicted\nrust,scab\nrust,rust\n")
    (matrix,) = _drawn()[classes]
    assert [(one["actual"], one["predicted"]) for one in matrix["content"]["data"]["values"]] == [
        ("rust", "scab"),
        ("rust", "rust"),
    ]
    assert matrix["content"]["spec"]["encoding"]["x"]["field"] == "actual"


def test_every_recipe_has_its_stages(clone: Path) -> None:
    recipes = sorted(file.stem for file in (ROOT / "pipelines" / "params").glob("*.yaml"))
    shutil.copy(ROOT / "dvc.yaml", clone)
    planned = _dvc("stage", "list", "--name-only").split()
    assert sorted(planned) == sorted(f"{stage.replace('-', '_')}@{recipe}" for stage in STAGES for recipe in recipes)


def test_the_shipped_configuration_holds_a_remote_and_no_secret() -> None:
    text = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "url = s3://" in text
    assert "analytics = false" in text
    for secret in ("access_key", "secret", "password", "session_token"):
        assert secret not in text
