"""Work goes on visibly while features are filled and while a split is validated."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.core.engine.task import Batch
from components.core.tracking.tracker import Tracker
from tests.engine.runs import PHASE, job, run
from tests.engine.toy import ToyModel, ToyTask

QUIET = PHASE.model_copy(update={"epochs": 1})


class Listening(ToyTask):
    """Notes evaluations of the stem and measurements among the heartbeats."""

    def __init__(self, heard: list[str]) -> None:
        super().__init__()
        self.heard = heard

    def _stem(self, model: ToyModel, x: Tensor) -> Tensor:
        self.heard.append("stem")
        return super()._stem(model, x)

    def measure(self, model: ToyModel, batch: Batch, *rest: object) -> dict[str, Tensor]:
        self.heard.append("measure")
        return super().measure(model, batch, *rest)  # type: ignore[arg-type]


@pytest.mark.parametrize("work", ["stem", "measure"])
def test_every_batch_of_frozen_or_validated_samples_is_a_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(Tracker, "heartbeat", lambda self: heard.append("heartbeat"))
    with torch.random.fork_rng():
        run(job(Listening(heard), tmp_path, QUIET))
    batches = [place for place, what in enumerate(heard) if what == work]
    assert len(batches) > 2
    assert all(heard[place + 1] == "heartbeat" for place in batches)
