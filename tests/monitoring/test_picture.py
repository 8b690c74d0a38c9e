"""A dashboard drawn without Grafana, from a server that answers like Prometheus."""

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from components.core.errors import BadInput, Temporary
from pipelines.cli import main
from pipelines.monitoring import prometheus as asking
from pipelines.monitoring.boards import BOARDS
from pipelines.monitoring.panel import Query
from pipelines.monitoring.picture import broken, filled, legend
from pipelines.monitoring.prometheus import Prometheus, Series

LABELS = {"pipeline": "hvit", "stage": "warmup", "phase": "warmup", "term": "seg"}


class Answering(BaseHTTPRequestHandler):
    """Has one series for whatever is asked, and refuses what says so."""

    asked: list[tuple[str, str]] = []

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        (expression,) = parse_qs(address.query)["query"]
        self.asked.append((address.path, expression))
        points = [[1000.0, "1"], [1001.0, "2.5"]]
        one = {"values": points} if address.path.endswith("query_range") else {"value": points[-1]}
        answer = {"status": "success", "data": {"result": [{"metric": LABELS, **one}]}}
        body = b"what?" if expression == "nonsense" else json.dumps(answer).encode()
        self.send_response(400 if expression == "refused" else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def address() -> Iterator[str]:
    Answering.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_command_draws_every_panel(address: str, tmp_path: Path) -> None:
    file = tmp_path / "board.png"
    words = ["monitoring", "picture", "--prometheus", address, "--minutes", "2", "--out", str(file)]
    assert main([*words, "--board", "thaw-overview"]) == 0
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000
    (board,) = [one for one in BOARDS if one.uid == "thaw-overview"]
    assert len(Answering.asked) == sum(len(panel.queries) for panel in board.panels)
    assert not [expression for _, expression in Answering.asked if "$" in expression]
    assert {path.rpartition("/")[2] for path, _ in Answering.asked} == {"query", "query_range"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--board", "thaw-none"], "choose among"),
        (["--minutes", "0"], "no such stretch"),
        (["--prometheus", "ftp://somewhere"], "no address of a Prometheus"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "board.png"
    given = ["monitoring", "picture", "--prometheus", "http://127.0.0.1:9", "--out", str(file), *words]
    assert main(given) == 2
    assert said in capsys.readouterr().err
    assert not file.exists()


def test_values_and_curves_are_read(address: str) -> None:
    server = Prometheus(address)
    (now,) = server.now("up")
    assert (now.labels, now.times, now.values) == (LABELS, (1001.0,), (2.5,))
    (curve,) = server.last("up", 60, 1)
    assert curve.values == (1.0, 2.5)


def test_a_bad_answer_says_whose_fault_it_is(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="refused"):
        Prometheus(address).now("refused")
    with pytest.raises(Temporary, match="no answer of a Prometheus"):
        Prometheus(address).now("nonsense")
    with pytest.raises(Temporary, match="does not answer"):
        Prometheus("http://127.0.0.1:9").now("up")
    monkeypatch.setattr(asking, "LARGEST_ANSWER", 10)
    with pytest.raises(BadInput, match="larger than 10 bytes"):
        Prometheus(address).now("up")


def test_a_curve_breaks_off_where_nothing_was_measured() -> None:
    times, values = (0.0, 1.0, 2.0, 3.0, 60.0, 61.0), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    made = broken(Series({}, times, values))
    assert made.times == (0.0, 1.0, 2.0, 3.0, 4.0, 60.0, 61.0)
    assert [math.isnan(value) for value in made.values] == [False] * 4 + [True] + [False] * 2
    assert broken(Series({}, times[:3], values[:3])) == Series({}, times[:3], values[:3])
    assert broken(Series({}, (), ())) == Series({}, (), ())


def test_variables_are_filled_as_grafana_does() -> None:
    text = 'rate(thaw_x_total{stage=~"$stage", fold=~"$fold"}[$__rate_interval])'
    assert filled(text, 7.4, "warmup") == 'rate(thaw_x_total{stage=~"warmup", fold=~".*"}[7s])'
    assert legend(Query("", "{{pipeline}} {{fold}} {{ stage }} left"), LABELS) == "hvit warmup left"
