"""Every row of the history tells the rates of its epoch's last step, also where a run was resumed after that step."""

from pathlib import Path

import pytest

from components.core.engine.progress import RATE
from components.core.engine.schedule import factor, warmup_length
from tests.engine.runs import PHASE, Killed, job, kill_at, run
from tests.engine.toy import ToyTask


def test_rates_follow_the_schedule_part_by_part(tmp_path: Path) -> None:
    history = run(job(ToyTask(), tmp_path)).history
    warmup = warmup_length(PHASE.warmup_steps, 16)
    for epoch, row in enumerate(history):
        scale = factor(4 * epoch + 3, 16, warmup, PHASE.schedule)
        assert {name: value for name, value in row.items() if name.startswith(RATE)} == {
            "rate/head": 0.05 * scale,
            "rate/block": 0.02 * scale,
        }
        assert row["train/lr"] == row["rate/head"], "the greatest of them stands for all"
        assert row["train/loss"] == row["train/mse"], "rates are no part of the loss"
    assert history[-1]["rate/head"] < history[0]["rate/head"]


def test_a_run_killed_before_an_epoch_is_closed_tells_the_same_rates(tmp_path: Path) -> None:
    expected = run(job(ToyTask(), tmp_path / "whole")).history
    broken = ToyTask()
    dies = kill_at(2)
    # After the checkpoint of the second epoch's last step: what is left of that epoch is its row.
    broken.decide = lambda summary: dies() or {}  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(job(broken, tmp_path / "broken"))
    assert run(job(ToyTask(), tmp_path / "broken")).history == expected
