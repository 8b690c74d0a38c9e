"""The opening table: before the first feature is computed, with the room there is where the checkpoints go."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.core.engine.announce import free_bytes
from components.core.engine.legs import train
from components.core.tracking.overview import RunPlan
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from tests.engine.runs import job
from tests.engine.toy import ToyTask


class Seen(Tracker):
    """Keeps the plan, and how much was computed when it was shown."""

    task: ToyTask
    plans: list[tuple[RunPlan, int]]

    def plan(self, plan: RunPlan) -> None:
        self.plans.append((plan, self.task.stem_samples))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_plan_is_shown_before_features_are_filled(tmp_path: Path, enabled: bool) -> None:
    task = ToyTask()
    given = job(task, tmp_path)
    cache = given.runtime.cache.model_copy(update={"enabled": enabled})
    given = replace(given, runtime=given.runtime.model_copy(update={"cache": cache}))
    with Seen(given.runtime, RunLabels("toy", "toy")) as tracker:
        tracker.task, tracker.plans = task, []
        train(given, tracker)
    ((plan, computed),) = tracker.plans
    assert computed == 0
    assert task.stem_samples > 0
    assert plan.cache == (f"read from {cache.dir}, or filled now (each size is told first), at most 20 GB" * enabled)
    assert plan.free_bytes is not None


def test_free_space_is_that_of_the_checkpoints_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disks = {tmp_path: 111, tmp_path / "big": 222, Path.cwd(): 333}
    (tmp_path / "big").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=disks[Path(place)]))
    assert free_bytes(str(tmp_path / "not yet" / "there")) == 111
    assert free_bytes(str(tmp_path / "big" / "warmup.checkpoints")) == 222
    assert free_bytes(f"file://{tmp_path}/big/run") == 222
    assert free_bytes("not-yet/relative") == 333
    assert free_bytes("s3://bucket/prefix") is None
