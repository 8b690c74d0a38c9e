"""The warm-up of the weight average goes on where the optimiser's state is handed on, and only there."""

from pathlib import Path
from typing import Any, Literal

import pytest

from components.core.checkpoint.artifact import ModelArtifact
from components.core.data.dataset import Dataset
from components.core.engine.phase import Handoff, Phase
from components.core.engine.training import PhaseFiles, run_phases
from components.core.identity import Identity
from components.core.runtime import Cache, Runtime
from tests.engine.runs import PHASE, job, run
from tests.engine.toy import ToyTask

STEPS = 4 * 4


class ToyRecipe:
    name = "toy"

    def build(self, card: object) -> ToyTask:
        return ToyTask()

    def model_dump(self, *, mode: Literal["json"]) -> dict[str, Any]:
        return {}


class NoData:
    """As much of a dataset as a toy needs."""

    digest = "toy"

    class card:  # noqa: N801
        settings: dict[str, Any] = {}
        synthetic = True

    @classmethod
    def open(cls, folder: Path) -> "NoData":
        return cls()


def phase(optimizer: str, **changes: Any) -> Phase:
    return Phase.model_validate({**PHASE.model_dump(), "handoff": Handoff(optimizer=optimizer), **changes})


def model_of(folder: Path, given: Phase, name: str, start: Path | None = None) -> Path:
    runtime = Runtime(device="cpu", progress=False, cache=Cache(dir=folder / "cache"))
    files = PhaseFiles(folder, start, folder / name, folder / f"{name}.json")
    run_phases(ToyRecipe(), [given], 5, runtime, Identity(name, "code", {}, {}), files)
    return folder / name


@pytest.mark.parametrize(("optimizer", "before"), [("keep", STEPS), ("fresh", 0)])
def test_the_count_goes_with_the_optimiser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: str, before: int
) -> None:
    monkeypatch.setattr(Dataset, "open", NoData.open)
    first = model_of(tmp_path, phase(optimizer), "first")
    assert ModelArtifact.load(first).meta.extra["averages"] == before
    second = model_of(tmp_path, phase("keep"), "second", first)
    assert ModelArtifact.load(second).meta.extra["averages"] == before + STEPS
    none = model_of(tmp_path, phase("keep", epochs=0), "none", second)
    assert ModelArtifact.load(none).meta.extra["averages"] == before + STEPS, "passed through"


def test_a_later_warm_up_moves_the_average_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """decay_t = min(decay, (1 + t) / (10 + t)): after sixteen steps the average keeps more of where it was."""
    monkeypatch.setattr(Dataset, "open", NoData.open)
    start = ModelArtifact.load(model_of(tmp_path, phase("keep"), "first"))
    forgotten = {**start.meta.extra, "averages": 0}
    restarted = ModelArtifact(
        start.weights, start.optimizer, start.meta.model_copy(update={"extra": forgotten}), start.digest
    )
    one = phase("fresh", epochs=1)
    moved = [
        float(
            (
                run(job(ToyTask(), tmp_path / name, one, start=given)).weights["head.bias"] - start.weights["head.bias"]
            ).abs()
        )
        for name, given in (("goes-on", start), ("restarted", restarted))
    ]
    assert moved[0] < moved[1]
