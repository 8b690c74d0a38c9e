"""On the embedded data set every picture holds two targets: only the text says which one is meant."""

import json
from pathlib import Path

import pytest

from pipelines.cli import main

WANTED = 0.2
"""Dice by which the right prompt must exceed the swapped one."""


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_right_prompt_beats_the_swapped_one(tmp_path: Path) -> None:
    out = tmp_path / "run"
    quick = ["--set", "evaluate.baselines=false", "--set", "runtime.progress=false"]
    cache = ["--set", f"runtime.cache.dir={tmp_path / 'cache'}"]
    assert main(["run", "freqmedclip", "--size", "demo", "--out", str(out), "--seed", "0", *quick, *cache]) == 0
    metrics = json.loads((out / "evaluate" / "metrics.json").read_text(encoding="utf-8"))
    difference = metrics["differences"]["end_to_end - end_to_end (swapped prompts)"]
    assert difference["low"] > WANTED, "with its whole 95 % interval"
