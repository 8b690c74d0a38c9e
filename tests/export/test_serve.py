"""`thaw serve`: bundles behind HTTP, bounded, and without torch."""

import base64
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from bundles import PROMPT
from PIL import Image

from components.core.errors import BadInput
from components.core.export.bundle import Bundle
from components.core.export.prediction import Prediction
from components.predictors import predictor_of
from pipelines.commands_predict import predict_command
from pipelines.serve import Handler, Limits, Server

WARNING = "not for diagnosis"


class Slow:
    """A predictor that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def read(self, path: Path) -> Any:
        return np.zeros((1, 1, 3), np.uint8)

    def predict(self, image: Any, prompt: str) -> Prediction:
        self.begun.set()
        assert self.go.wait(30)
        return Prediction({}, {"prompt": prompt, "score": float("nan")}, main="values")


def png(height: int = 33, width: int = 57) -> bytes:
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


class Client:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(
        self, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        found = response.status, json.loads(response.read())
        connection.close()
        return found


def started(predictor: Any, limits: Limits = Limits()) -> Server:  # noqa: B008  frozen
    server = Server(("127.0.0.1", 0), predictor, WARNING, limits)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def client(plain: Bundle) -> Iterator[Client]:
    with started(predictor_of(plain), Limits(max_bytes=100_000)) as server:
        yield Client(server.server_port)
        server.shutdown()


def test_it_says_that_it_is_alive(client: Client) -> None:
    assert client.ask("GET", "/healthz") == (200, {"status": "ok"})


def test_it_answers_as_predict_does(client: Client, plain: Bundle, tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(png())
    said = predict_command(picture, PROMPT, plain.folder, tmp_path / "mask.png")
    status, told = client.ask("POST", f"/predict?prompt={quote(PROMPT)}", png())
    assert status == 200
    assert told["warning"] == WARNING
    assert told["values"] == {key: value for key, value in said.items() if key not in {"files", "warning"}}
    for name, file in said["files"].items():
        with Image.open(io.BytesIO(base64.b64decode(told["pictures"][name]))) as sent, Image.open(file) as written:
            assert np.array_equal(np.asarray(sent), np.asarray(written))


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("GET", "/", None, 404),
        ("POST", "/elsewhere", b"1", 404),
        ("POST", "/predict", b"not a picture", 400),
        ("POST", "/predict?name=../../etc/passwd", b"1", 400),
        ("POST", "/predict?name=picture.exe", b"1", 400),
        ("POST", "/predict?name=scan.nii.gz", b"1", 400),
        ("POST", "/predict", b"0" * 100_001, 413),
        ("POST", "/predict?prompt=" + "a" * 5000, b"1", 414),
    ],
)
def test_what_it_refuses(client: Client, method: str, target: str, body: bytes | None, status: int) -> None:
    found, told = client.ask(method, target, body)
    assert found == status
    assert told["error"] and told["remedy"]
    assert "/tmp" not in json.dumps(told) and "thaw-serve-" not in json.dumps(told), "no path of the server"
    assert client.ask("GET", "/healthz")[0] == 200, "and it goes on"


@pytest.mark.parametrize("length", ["-1", "1e3", ""])
def test_a_body_of_unknown_length_is_refused(client: Client, length: str) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as link:
        link.sendall(f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
        assert link.makefile("rb").readline().split()[1] == b"411"


@pytest.mark.parametrize("length", ["99999999999", "9" * 5000])
def test_a_large_body_is_refused_before_it_is_sent(client: Client, length: str) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as link:
        link.sendall(f"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
        assert link.makefile("rb").readline().split()[1] == b"413"


def test_a_client_that_goes_away_frees_its_turn(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as link:
        link.sendall(b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhalf")
    deadline = time.monotonic() + 10
    while client.ask("POST", "/predict", png())[0] == 503 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.ask("POST", "/predict", png())[0] == 200


def test_a_silent_client_is_dropped(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as link:
        assert link.recv(1) == b"", "the server hung up"


def test_one_answer_at_a_time() -> None:
    slow = Slow()
    with started(slow) as server:
        client = Client(server.server_port)
        answers: list[tuple[int, dict[str, Any]]] = []
        first = threading.Thread(target=lambda: answers.append(client.ask("POST", "/predict?prompt=a", b"1")))
        first.start()
        assert slow.begun.wait(10)
        assert client.ask("POST", "/predict", b"1")[0] == 503
        assert client.ask("GET", "/healthz")[0] == 200, "busy is not ill"
        slow.go.set()
        first.join(10)
        server.shutdown()
    assert answers == [(200, {"values": {"prompt": "a", "score": None}, "pictures": {}, "warning": WARNING})]


def test_a_taken_port_is_told() -> None:
    with started(Slow()) as server:
        with pytest.raises(BadInput, match="cannot serve"):
            Server(("127.0.0.1", server.server_port), Slow(), "", Limits())
        server.shutdown()


def test_the_command_needs_no_torch_and_ends_by_sigterm(plain: Bundle) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    program = (
        "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'kfp')));"
        "from pipelines.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "serve", "--bundle", str(plain.folder), "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"SECRET": "canary"}) as process:
        client = Client(port)
        for _ in range(600):
            try:
                status, told = client.ask("POST", "/predict?prompt=" + quote(PROMPT), png())
                break
            except ConnectionRefusedError:
                assert process.poll() is None, process.stderr.read() if process.stderr else ""
                time.sleep(0.1)
        else:
            pytest.fail("it never answered")
        unknown = client.ask("POST", "/predict?prompt=something+else", png())
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert (status, told["warning"] != "") == (200, True)
    assert unknown[0] == 400, "a prompt that needs torch is refused, not fatal"
    assert process.returncode == 0
    assert "something" not in errors and "canary" not in errors
