"""Real stages, watched by real servers: every panel has data, and alerts reach somebody.

Only the GPU is made up: this test's own process serves GPU metrics through the project's collector with a driver that
answers like NVML, because no GPU is needed to run the tests.
"""

import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from components.core.runtime import Runtime
from components.core.tracking import tracker as tracking
from components.core.tracking.gpu import Gpus
from components.core.tracking.push import RunLabels
from components.core.tracking.tracker import Tracker
from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.picture import filled
from pipelines.monitoring.prometheus import Prometheus
from tests.monitoring.stack import Stack, free_port, wait
from tests.monitoring.stages import PATIENCE, StageProcess, train
from tests.tracking.drivers import FakeDriver

pytestmark = [pytest.mark.services, pytest.mark.timeout(4 * PATIENCE)]

CANARY = "canary-9f2c1d7e5b"
WINDOW = 5.0


def steps(stack: Stack, stage: StageProcess) -> float:
    """Steps that Prometheus has seen of a stage."""
    found = stack.server.now(f'thaw_steps_total{{instance="{stage.instance}"}}')
    return found[0].values[-1] if found else 0.0


def at_work(stack: Stack, stage: StageProcess, least: int = 1) -> StageProcess:
    """Wait until a stage steps."""

    def stepping() -> bool:
        assert stage.process.poll() is None, stage.log
        return steps(stack, stage) >= least

    wait("a step", stepping, PATIENCE)
    return stage


def of_this(stack: Stack, stage: StageProcess, name: str, status: str = "firing") -> list[Mapping[str, Any]]:
    """What was heard of an alert of one process."""
    return [one for one in stack.alerts(name, status) if one["labels"]["instance"] == stage.instance]


@pytest.fixture(scope="module")
def diverged(stack: Stack, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> StageProcess:
    """A stage that ended because its loss is no number: rates beyond all reason."""
    rates = [f"warmup.trainable.{part}=1e30" for part in ("freq_projection", "fusion_gate", "saliency_head")]
    stage = train(stack, tmp_path_factory.mktemp("diverged"), dataset, *rates, canary=CANARY)
    assert stage.process.wait(PATIENCE) == 2, stage.log
    stage.end()
    return stage


@pytest.fixture(scope="module")
def resumed(stack: Stack, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StageProcess]:
    """A stage that was killed once, and goes on with checkpoints at epoch ends only: where it runs is no result."""
    folder = tmp_path_factory.mktemp("resumed")
    first = at_work(stack, train(stack, folder, dataset, "runtime.checkpoints.every_steps=5"), 12)
    first.end(signal.SIGKILL)
    second = at_work(stack, train(stack, folder, dataset, "runtime.checkpoints.every_steps=0"))
    yield second
    second.end()


@pytest.fixture(scope="module")
def gpu(stack: Stack) -> Iterator[None]:
    """A tracker whose GPU's driver is made up."""
    port = free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracking.Gpus, "open", lambda *_: Gpus(FakeDriver()))  # type: ignore[arg-type]
        with Tracker(Runtime(progress=False, metrics_port=port), RunLabels("made-up", "gpu")) as tracker:
            tracker.begin("gpu", 100)
            target = stack.watch(port)
            yield
    stack.forget(target)


def test_an_old_checkpoint_is_heard_of(stack: Stack, resumed: StageProcess) -> None:
    """The stage is held back, so that on any machine an epoch is longer than a checkpoint may be old."""

    def heard() -> object:
        resumed.pause_after_step()
        return of_this(stack, resumed, "ThawCheckpointOld")

    wait("the alert", heard, PATIENCE, pause=0.01)
    assert "after step" in resumed.log
    assert "epoch 0, " not in resumed.log, "the alert came while the first epoch was under way"


def test_every_panel_has_data(stack: Stack, resumed: StageProcess, diverged: StageProcess, gpu: None) -> None:
    asked = [
        (f"{board.uid}: {panel.title}", query.expression)
        for board in BOARDS
        for panel in board.panels
        for query in panel.queries
    ]
    server: Prometheus = stack.server

    def empty() -> list[str]:
        return [where for where, expression in asked if not server.now(filled(expression, WINDOW))]

    wait("an epoch's end", lambda: "epoch 0, " in resumed.log, PATIENCE)
    try:
        wait("data for every panel", lambda: not empty(), 60, pause=2)
    finally:
        assert empty() == []
    assert len(asked) > 30


def test_a_loss_that_is_no_number_is_heard_of(stack: Stack, diverged: StageProcess) -> None:
    assert "not finite" in diverged.log
    (alert, *_) = wait("the alert", lambda: stack.alerts("ThawLossNotFinite"))
    assert alert["labels"]["pipeline"] == "freqmedclip"
    assert alert["labels"]["stage"] == "warmup"
    assert alert["labels"]["severity"] == "critical"
    assert alert["annotations"]["summary"] == "freqmedclip/warmup stopped: a loss or gradient was not finite"
    (failed, *_) = wait("the alert", lambda: stack.alerts("ThawStageFailed"))
    assert failed["annotations"]["summary"] == "freqmedclip/warmup failed with exit code 2"


def test_a_stalled_stage_is_heard_of_and_forgotten_once_it_goes_on(stack: Stack, resumed: StageProcess) -> None:
    name = "ThawStageStalled"
    before, heard = steps(stack, resumed), len(of_this(stack, resumed, name))
    wait("more steps", lambda: steps(stack, resumed) > before + 5, PATIENCE)
    assert len(of_this(stack, resumed, name)) == heard
    resumed.send(signal.SIGSTOP)
    wait("the alert", lambda: len(of_this(stack, resumed, name)) > heard)
    resumed.send(signal.SIGCONT)
    wait("the end of the alert", lambda: of_this(stack, resumed, name, "resolved"))
    at_work(stack, resumed)


def test_a_secret_shows_nowhere(stack: Stack, diverged: StageProcess) -> None:
    said = str(stack.server.ask("series", **{"match[]": '{__name__=~".+"}'})) + diverged.log
    assert "freqmedclip" in said
    assert CANARY not in said
