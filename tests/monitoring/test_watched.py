"""Real stages, watched by real servers: every panel has data, and alerts reach somebody.

Only the GPU is made up: this test's own process serves GPU metrics through the project's collector with a driver that
answers like NVML, because no GPU is needed to run the tests.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

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
from tests.monitoring.stages import PATIENCE, StageProcess, prepare, train
from tests.tracking.drivers import FakeDriver

pytestmark = [pytest.mark.services, pytest.mark.timeout(4 * PATIENCE), pytest.mark.xdist_group("monitoring")]

ENDLESS = "warmup.epochs=100000"
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
    """A stage that was killed once and goes on."""
    folder = tmp_path_factory.mktemp("resumed")
    values = (ENDLESS, "runtime.checkpoints.every_steps=5")
    first = at_work(stack, train(stack, folder, dataset, *values), 12)
    first.end(signal.SIGKILL)
    second = at_work(stack, train(stack, folder, dataset, *values))
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

    wait(f"data for {empty()}", lambda: not empty(), 60, pause=2)
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
    def of_this(status: str) -> list[object]:
        every = stack.alerts("ThawStageStalled", status)
        return [one for one in every if one["labels"]["instance"] == resumed.instance]

    before = steps(stack, resumed)
    wait("more steps", lambda: steps(stack, resumed) > before + 5)
    assert of_this("firing") == []
    resumed.send(signal.SIGSTOP)
    wait("the alert", lambda: of_this("firing"))
    resumed.send(signal.SIGCONT)
    wait("the end of the alert", lambda: of_this("resolved"))
    at_work(stack, resumed)


def test_an_old_checkpoint_is_heard_of(
    stack: Stack, resumed: StageProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Saving at epoch ends only, with an epoch that is longer than a checkpoint may be old."""
    many = prepare(stack, tmp_path_factory.mktemp("many"), "recipe.data.synthetic.images=240")
    values = ("warmup.batch_size=1", "warmup.views=0", "runtime.checkpoints.every_steps=0")
    stage = at_work(stack, train(stack, tmp_path_factory.mktemp("seldom"), many, *values))

    def of_this(instance: str) -> list[object]:
        return [one for one in stack.alerts("ThawCheckpointOld") if one["labels"]["instance"] == instance]

    wait("the alert", lambda: of_this(stage.instance), 90)
    assert "epoch 0" not in stage.log
    assert of_this(resumed.instance) == []
    stage.end()


def test_a_secret_shows_nowhere(stack: Stack, diverged: StageProcess) -> None:
    said = str(stack.server.ask("series", **{"match[]": '{__name__=~".+"}'})) + diverged.log
    assert "freqmedclip" in said
    assert CANARY not in said
