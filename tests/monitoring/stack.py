"""Prometheus, Pushgateway and Alertmanager of this machine on loopback, wired as on a cluster, and a webhook."""

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from pipelines.monitoring.expression import Clock
from pipelines.monitoring.prometheus import Prometheus
from pipelines.monitoring.rules import rules_file

PROGRAMS = ("prometheus", "prometheus-pushgateway", "prometheus-alertmanager", "promtool")
MISSING = [name for name in PROGRAMS if shutil.which(name) is None]
SCRAPE = "500ms"


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(what: str, done: Callable[[], object], seconds: float = 60.0, pause: float = 0.2) -> Any:
    """Ask until there is an answer; returns it. Fails after `seconds`, naming what did not come."""
    end = time.monotonic() + seconds
    while not (answer := done()):
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(pause)
    return answer


class Webhook(BaseHTTPRequestHandler):
    """Keeps the alerts that Alertmanager sends."""

    received: list[Mapping[str, Any]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.received.extend(body["alerts"])
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Stay silent."""


class Stack:
    """The servers, from entry to exit.

    Args:
        folder: Where they keep what they keep.
        clock: Of the rules: a day of a cluster passes within minutes.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._open = ExitStack()
        self._targets: set[str] = set()

    def __enter__(self) -> "Stack":
        with ExitStack() as stack:
            self._open = stack
            hook = ThreadingHTTPServer(("127.0.0.1", 0), Webhook)
            Webhook.received.clear()
            thread = threading.Thread(target=hook.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(hook.server_close)
            stack.callback(hook.shutdown)
            self.gateway = self._start("prometheus-pushgateway", "--web.listen-address=127.0.0.1:{port}")
            alertmanager = self._alertmanager(hook.server_port)
            self.server = Prometheus(f"http://{self._prometheus(alertmanager)}")
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def address(self) -> str:
        """Of the Prometheus."""
        return self.server._address

    def watch(self, port: int) -> str:
        """Scrape a process of this machine from now on; returns its `instance`."""
        target = f"127.0.0.1:{port}"
        self._tell(self._targets | {target})
        return target

    def forget(self, target: str) -> None:
        """Scrape it no more, as where a pod has ended."""
        self._tell(self._targets - {target})

    def alerts(self, name: str, status: str = "firing") -> list[Mapping[str, Any]]:
        """What the webhook has heard of an alert so far."""
        heard = list(Webhook.received)
        return [one for one in heard if one["labels"]["alertname"] == name and one["status"] == status]

    def _tell(self, targets: set[str]) -> None:
        self._targets = targets
        file = self._folder / "targets.json"
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps([{"targets": sorted(targets)}]))
        fresh.replace(file)

    def _alertmanager(self, hook: int) -> str:
        route = {"receiver": "hook", "group_by": ["..."], "group_wait": "0s", "group_interval": "1s"}
        receiver = {
            "name": "hook",
            "webhook_configs": [{"url": f"http://127.0.0.1:{hook}/", "send_resolved": True}],
        }
        config = self._folder / "alertmanager.yml"
        config.write_text(yaml.safe_dump({"route": route, "receivers": [receiver]}))
        return self._start(
            "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={self._folder / 'alertmanager'}",
            "--cluster.listen-address=",
            "--web.listen-address=127.0.0.1:{port}",
        )

    def _prometheus(self, alertmanager: str) -> str:
        (self._folder / "rules.yml").write_text(rules_file(self._clock))
        self._tell(set())
        stages = {"job_name": "stages", "file_sd_configs": [{"files": [str(self._folder / "targets.json")]}]}
        gateway = {
            "job_name": "pushgateway",
            "honor_labels": True,  # the labels of the group are those of the stage
            "static_configs": [{"targets": [self.gateway]}],
        }
        config = self._folder / "prometheus.yml"
        values = {
            "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": SCRAPE},
            "rule_files": [str(self._folder / "rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
            "scrape_configs": [stages, gateway],
        }
        config.write_text(yaml.safe_dump(values))
        return self._start(
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder / 'prometheus'}",
            "--web.listen-address=127.0.0.1:{port}",
        )

    def _start(self, program: str, *arguments: str) -> str:
        """Start a server and wait until it is ready; returns its address."""
        address = f"127.0.0.1:{free_port()}"
        words = [argument.format(port=address.rpartition(":")[2]) for argument in arguments]
        log = self._open.enter_context((self._folder / f"{program}.log").open("w"))
        process = subprocess.Popen([program, *words], stdout=log, stderr=subprocess.STDOUT, cwd=self._folder)
        self._open.callback(process.wait, 20)
        self._open.callback(process.terminate)

        def ready() -> bool:
            assert process.poll() is None, (self._folder / f"{program}.log").read_text()
            try:
                with urllib.request.urlopen(f"http://{address}/-/ready", timeout=1) as answer:
                    return int(answer.status) == 200
            except OSError:
                return False

        wait(program, ready, 30)
        return address
