"""The façade: one report reaches the scrape page, the history, TensorBoard, the log and the Pushgateway."""

import json
import logging
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.parser import text_string_to_metric_families

from components.core.errors import BadInput, Temporary
from components.core.runtime import Runtime
from components.core.tracking.history import read_history
from components.core.tracking.logs import set_up_logging
from components.core.tracking.overview import RunPlan
from components.core.tracking.push import Outcome, RunLabels, push_outcome
from components.core.tracking.tracker import Tracker

LABELS = RunLabels("toy", "warmup", seed=3, fold="1", version="0.1.0")


def quiet(**values: object) -> Runtime:
    return Runtime.model_validate({"progress": False, "device": "cpu", **values})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }


def report(tracker: Tracker, step: int = 7) -> None:
    tracker.step(
        "warmup", step, 8, {"seg": 0.5, "hinge": 0.25}, {"head": 1e-3}, 0.2, 0.05, scalars={"fusion_alpha": 0.3}
    )


def test_a_scrape_returns_what_was_reported() -> None:
    port = free_port()
    before = time.time()
    with Tracker(quiet(metrics_port=port), LABELS) as tracker:
        assert tracker.port == port
        tracker.begin("warmup", 20, 6)
        report(tracker)
        tracker.step("warmup", 8, 4, {"seg": 0.4}, {}, 0.1, 0.0, scalars={"negatives": 5.0})
        tracker.validation("warmup", 0, 8, {"dice": 0.75})
        tracker.checkpoint_saved(1.5, 4096)
        tracker.cache(10, 3)
        tracker.nonfinite()
        tracker.retried("upload")
        tracker.quarantined(2)
        page = scrape(port)
    phase = ("phase", "warmup")
    assert page["thaw_steps_total", (phase,)] == 2
    assert page["thaw_samples_total", (phase,)] == 12
    assert page["thaw_planned_steps", (phase,)] == 20
    assert page["thaw_current_step", (phase,)] == 8
    assert page["thaw_loss", (phase, ("term", "seg"))] == 0.4
    assert page["thaw_loss", (phase, ("term", "hinge"))] == 0.25
    assert page["thaw_learning_rate", (("group", "head"), phase)] == 1e-3
    assert page["thaw_fusion_alpha", (phase,)] == 0.3
    assert page["thaw_scalar", (("name", "negatives"), phase)] == 5
    assert page["thaw_validation_metric", (("metric", "dice"), phase)] == 0.75
    assert page["thaw_step_seconds_sum", (phase,)] == pytest.approx(0.3)
    assert page["thaw_step_seconds_count", (phase,)] == 2
    assert page["thaw_data_wait_seconds_sum", (phase,)] == pytest.approx(0.05)
    assert page["thaw_checkpoint_bytes", ()] == 4096
    assert page["thaw_checkpoint_seconds_sum", ()] == 1.5
    assert page["thaw_checkpoint_last_success_timestamp_seconds", ()] >= before
    assert page["thaw_cache_hits_total", ()] == 10
    assert page["thaw_cache_misses_total", ()] == 3
    assert page["thaw_nonfinite_total", ()] == 1
    assert page["thaw_retries_total", (("operation", "upload"),)] == 1
    assert page["thaw_quarantined_samples", ()] == 2
    assert page["thaw_heartbeat_timestamp_seconds", tuple(sorted(LABELS.group().items()))] >= before
    assert page["thaw_stage_info", tuple(sorted(LABELS.info().items()))] == 1


def test_the_endpoint_ends_with_the_run_and_is_loopback_by_default() -> None:
    port = free_port()
    with Tracker(quiet(metrics_port=port), LABELS) as tracker:
        assert tracker._endpoint is not None
        assert tracker._endpoint._server is not None
        assert tracker._endpoint._server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError, match="refused"):
        scrape(port)


def test_no_port_serves_nothing() -> None:
    with Tracker(quiet(), LABELS) as tracker:
        assert tracker.port == 0


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"metrics_port = {port}"), Tracker(quiet(metrics_port=port), LABELS):
            pass


def test_an_interrupted_run_leaves_the_history_of_an_uninterrupted_one(tmp_path: Path) -> None:
    def train(tracker: Tracker, first: int, last: int) -> None:
        for step in range(first, last + 1):
            report(tracker, step)
            if step % 2 == 0:
                tracker.validation("warmup", step // 2 - 1, step, {"dice": step / 10})

    with Tracker(quiet(), LABELS, tmp_path / "whole.jsonl") as tracker:
        train(tracker, 1, 6)
    with pytest.raises(KeyboardInterrupt), Tracker(quiet(), LABELS, tmp_path / "cut.jsonl") as tracker:
        train(tracker, 1, 5)
        raise KeyboardInterrupt
    with Tracker(quiet(), LABELS, tmp_path / "cut.jsonl") as tracker:
        tracker.resumed(4)
        tracker.validation("warmup", 1, 4, {"dice": 0.4})  # repeated, because the checkpoint was saved before it
        train(tracker, 5, 6)
        assert tracker.metrics.value("thaw_resumes_total") == 1
    assert read_history(tmp_path / "cut.jsonl") == read_history(tmp_path / "whole.jsonl")


def test_tensorboard_curves_survive_a_resume(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runtime = quiet(tensorboard=str(tmp_path))
    with Tracker(runtime, LABELS) as tracker:
        for step in (1, 2, 3):
            tracker.step("warmup", step, 8, {"seg": 1.0, "bad": float("nan")}, {}, 0.1, 0.0)
    with Tracker(runtime, LABELS) as tracker:
        tracker.resumed(1)
        tracker.step("warmup", 2, 8, {"seg": 2.0}, {}, 0.1, 0.0)
        tracker.validation("warmup", 0, 2, {"val/f1_macro": 0.5, "train/lr": 1e-3})
        tracker.validation("unet", 0, 2, {"val/dice": 0.25})
    events = EventAccumulator(str(tmp_path / "toy" / "warmup" / "seed-3-fold-1"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("warmup/loss/seg")] == [(1, 1.0), (2, 2.0)]
    for name, value in {"val/f1_macro": 0.5, "train/lr": 1e-3, "unet/val/dice": 0.25}.items():
        assert [event.value for event in events.Scalars(name)] == [pytest.approx(value)]
    paces = events.Scalars("warmup/time/samples_per_second")
    assert [(event.step, event.value) for event in paces] == [(2, pytest.approx(80.0))], "of this process's own steps"
    assert "warmup/loss/bad" not in events.Tags()["scalars"]


def test_tables_are_logged_where_there_is_no_terminal(caplog: pytest.LogCaptureFixture) -> None:
    plan = RunPlan("toy", "warmup", "12 train, 3 val [made up]", {"head": 1200}, 8800, resume="step 40")
    with caplog.at_level(logging.INFO), Tracker(quiet(), LABELS) as tracker:
        tracker.plan(plan)
        report(tracker)
    opening, closing = (record.getMessage() for record in caplog.records)
    assert "12 train, 3 val [made up]" in opening
    assert "1,200 of 10,000 parameters" in opening
    assert "step 40" in opening
    assert "finished" in closing


class Gateway(BaseHTTPRequestHandler):
    """Stands in for a Pushgateway: keeps what it was sent."""

    received: list[tuple[str, str, str]] = []

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.received.append((self.command, self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def gateway() -> Iterator[str]:
    Gateway.received.clear()
    server = HTTPServer(("127.0.0.1", 0), Gateway)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pushed() -> tuple[str, dict[str, float]]:
    [(_, path, body)] = Gateway.received
    samples = (sample for family in text_string_to_metric_families(body) for sample in family.samples)
    return path, {sample.name + json.dumps(sample.labels): sample.value for sample in samples}


def test_success_is_pushed_with_its_metrics_and_grouping(gateway: str) -> None:
    with Tracker(quiet(pushgateway=gateway), LABELS) as tracker:
        tracker.validation("warmup", 0, 1, {"dice": 0.5})
        tracker.final({"dice": 0.6})
    path, values = pushed()
    parts = path.removeprefix("/metrics/job/thaw/").split("/")
    assert dict(zip(parts[::2], parts[1::2], strict=True)) == LABELS.group()
    assert values["thaw_outcome_success{}"] == 1
    assert values["thaw_outcome_exit_code{}"] == 0
    assert values['thaw_outcome_metric{"metric": "dice"}'] == 0.6
    assert values["thaw_outcome_duration_seconds{}"] < 60
    assert all(name.startswith("thaw_outcome_") for name in values)


def test_failure_is_pushed_with_its_exit_code(gateway: str) -> None:
    with pytest.raises(Temporary), Tracker(quiet(pushgateway=gateway), LABELS):
        raise Temporary("the store does not answer")
    _, values = pushed()
    assert values["thaw_outcome_success{}"] == 0
    assert values["thaw_outcome_exit_code{}"] == 75


def test_a_loss_that_is_no_number_is_pushed_since_no_scrape_comes_in_time(gateway: str) -> None:
    with pytest.raises(BadInput), Tracker(quiet(pushgateway=gateway), LABELS) as tracker:
        tracker.nonfinite()
        raise BadInput("the loss is not finite")
    _, values = pushed()
    assert values["thaw_outcome_nonfinite{}"] == 1


def test_alerts_have_what_they_need_from_the_first_scrape_on() -> None:
    port, before = free_port(), time.time()
    whose = tuple(sorted(LABELS.group().items()))
    with Tracker(quiet(metrics_port=port), LABELS) as tracker:
        first = scrape(port)
        assert first["thaw_retries_total", (("operation", "store"),)] == 0
        assert ("thaw_resume_timestamp_seconds", whose) not in first
        tracker.resumed(4)
        tracker.begin("warmup", 20, 4)
        page = scrape(port)
    assert page["thaw_resume_timestamp_seconds", whose] >= before
    assert page["thaw_phase_start_timestamp_seconds", (("phase", "warmup"),)] >= before


def test_a_secret_of_the_environment_is_neither_served_nor_pushed_nor_logged(
    gateway: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    canary = "canary/0123456789/" + "x" * 120  # longer than a line of the table: it must be gone before it is broken
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", canary)
    port = free_port()
    runtime = quiet(pushgateway=gateway, metrics_port=port, tensorboard=str(tmp_path / "board"))
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    set_up_logging()
    try:
        with pytest.raises(Temporary), Tracker(runtime, LABELS, tmp_path / "history.jsonl") as tracker:
            report(tracker)
            tracker.message(f"signed with {canary}")
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                page = answer.read().decode()
            raise Temporary(f"the store refused {canary}")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    said = capsys.readouterr().err
    assert "the store refused [redacted]" in said.replace("\n", " ")
    written = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    for text in (page, str(Gateway.received), said, written.decode(errors="replace")):
        assert text
        assert "canary" not in text
        assert "xxx" not in text


@pytest.mark.parametrize("address", ["http://user:canary@127.0.0.1:9", "user:canary@127.0.0.1:9", "host:canary"])
def test_an_unusable_gateway_is_told_without_its_password(address: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not push_outcome(address, LABELS, Outcome(0, 1.0, {}))
    assert "pushed" in caplog.text
    assert "user" not in caplog.text


def test_a_silent_gateway_does_not_fail_the_run(caplog: pytest.LogCaptureFixture) -> None:
    assert not push_outcome(f"127.0.0.1:{free_port()}", LABELS, Outcome(0, 1.0, {}))
    assert "could not be pushed" in caplog.text


def test_importing_it_needs_neither_torch_nor_tensorboard() -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['tensorboard'] = None; import components.core.tracking.tracker"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
