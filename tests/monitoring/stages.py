"""Real stages of the smallest recipe as processes that can be watched, stopped and killed."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.monitoring.stack import Stack, free_port

RECIPE = "freqmedclip"
IMAGES = 240
"""So many that an epoch of small batches, each followed by a `PAUSE`, is longer than a checkpoint may be old."""

PAUSE = 0.15
"""Seconds: shorter than a scrape may take."""

SLOW = ("warmup.batch_size=2", "warmup.views=0", "warmup.epochs=100000", "warmup.losses.contrastive=0.3")
"""With a loss that logs values beside it, which have a panel."""

PATIENCE = 300.0
"""Seconds for a process to get to work: Python alone takes several, on a busy machine a minute."""


class StageProcess:
    """A stage under way.

    Args:
        stack: Who watches it.
        folder: Of its outputs.
        stage: Its name.
        values: Values to set, as `key=value`.
        ports: Its ports.
        canary: A secret of its environment.
    """

    def __init__(self, stack: Stack, folder: Path, stage: str, *values: str, canary: str = "", **ports: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        runtime = [
            f"runtime.metrics_port={port}",
            f"runtime.pushgateway={stack.gateway}",
            f"runtime.cache.dir={folder / 'cache'}",
            "runtime.workers=1",
        ]
        settings = [word for value in (*runtime, *values) for word in ("--set", value)]
        files = [word for name, path in ports.items() for word in (f"--{name}", str(path))]
        self._log = folder / f"{stage}.log"
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "components", stage, RECIPE, "--size", "tiny", *settings, *files],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1", "AWS_SECRET_ACCESS_KEY": canary},
            )
        self.instance = stack.watch(port)
        self._stack = stack
        self._steps = 0.0

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def pause_after_step(self) -> None:
        """Stop it for a moment if it has stepped since the last call: slow by the clock, not by the machine."""
        with urllib.request.urlopen(f"http://{self.instance}/metrics", timeout=PATIENCE) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        steps = sum(one.value for family in families for one in family.samples if one.name == "thaw_steps_total")
        if steps > self._steps:
            self.send(signal.SIGSTOP)
            time.sleep(PAUSE)
            self.send(signal.SIGCONT)
        self._steps = steps

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Kill it, and forget it as a target, as where its pod has gone."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self._stack.forget(self.instance)


def prepare(stack: Stack, folder: Path) -> Path:
    """Make a dataset."""
    made = folder / "dataset"
    stage = StageProcess(stack, folder, "prepare", f"recipe.data.synthetic.images={IMAGES}", dataset=made)
    assert stage.process.wait(PATIENCE) == 0, stage.log
    stage.end()
    return made


def train(stack: Stack, folder: Path, dataset: Path, *values: str, canary: str = "") -> StageProcess:
    """Start a long `warmup` on a dataset; run again in the same folder, it resumes."""
    ports = {"dataset": dataset, "model": folder / "model", "metrics": folder / "metrics.json"}
    return StageProcess(stack, folder, "warmup", *SLOW, *values, canary=canary, **ports)
