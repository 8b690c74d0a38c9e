"""What `thaw serve` does: a bundle behind HTTP, on the standard library. No torch."""

import base64
import io
import json
import logging
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from PIL import Image

from components.core.errors import BadInput
from components.core.export.bundle import portable
from components.core.export.prediction import Predictor

LONGEST_TARGET = 4096
"""Characters of a request's target: a prompt and a name fit many times."""

LONGEST_NUMBER = 18
"""Digits of a length; Python itself refuses to read thousands of them."""

SILENCE = 30.0
"""Seconds after which a silent client is dropped, and for which an answer in progress delays the end."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".mha", ".nii", ".nii.gz")
"""What one request can carry; the picture's format is found from its bytes, the volume's from its name."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one client may cost.

    Attributes:
        max_bytes: Of a request's body.
        at_once: Answers computed at a time; a request beyond them is told to come back.
    """

    max_bytes: int = 64 << 20
    at_once: int = 1


class Server(ThreadingHTTPServer):
    """Answers `POST /predict` and `GET /healthz`.

    Args:
        address: Interface and port to listen on; port 0 takes a free one.
        predictor: An opened bundle.
        warning: What stands beside every answer ("not for diagnosis").
        limits: What one client may cost.

    Raises:
        BadInput: The port is taken or not allowed.
    """

    daemon_threads = True

    def __init__(self, address: tuple[str, int], predictor: Predictor, warning: str, limits: Limits) -> None:
        try:
            super().__init__(address, Handler)
        except OSError as error:
            raise BadInput(
                f"cannot serve: {error.strerror}", where=f"--port {address[1]}", remedy="choose a free port"
            ) from error
        self.predictor, self.warning, self.limits = predictor, warning, limits
        self.turns = threading.BoundedSemaphore(limits.at_once)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; answers that are being computed are finished."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=self.shutdown).start())
        with self:
            self.serve_forever()
            for _ in range(self.limits.at_once):
                self.turns.acquire(timeout=SILENCE)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server's."""
        log.warning("a connection broke off", exc_info=log.isEnabledFor(logging.DEBUG))


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    timeout = SILENCE
    server_version = "thaw"
    sys_version = ""

    @property
    def _serving(self) -> Server:
        return cast(Server, self.server)

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/healthz":
            self._say(HTTPStatus.OK, {"status": "ok"})
        else:
            self._refuse(HTTPStatus.NOT_FOUND, "nothing is here", "POST a picture to /predict")

    def do_POST(self) -> None:
        if len(self.path) > LONGEST_TARGET:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "the target is too long", "shorten the prompt")
        elif urlsplit(self.path).path != "/predict":
            self._refuse(HTTPStatus.NOT_FOUND, "nothing is here", "POST a picture to /predict")
        elif not self._serving.turns.acquire(blocking=False):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "busy with other requests", "try again in a second")
        else:
            try:
                self._predict()
            finally:
                self._serving.turns.release()

    def _predict(self) -> None:
        given = self.headers.get("Content-Length", "")
        if not given.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "the length of the body is not known", "send Content-Length")
        elif len(given) > LONGEST_NUMBER or int(given) > self._serving.limits.max_bytes:
            most = f"at most {self._serving.limits.max_bytes} bytes are read"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most, "send a smaller picture, or raise --max-bytes")
        else:
            self._answer(int(given), parse_qs(urlsplit(self.path).query))

    def _answer(self, length: int, query: Mapping[str, list[str]]) -> None:
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the body ended early")
        try:
            told = answer(self._serving.predictor, body, query.get("name", [""])[0], query.get("prompt", [""])[0])
        except BadInput as error:  # its `where` is a path of this machine: of no use to the client
            self._refuse(HTTPStatus.BAD_REQUEST, error.what, error.remedy)
        else:
            self._say(HTTPStatus.OK, {**told, "warning": self._serving.warning})

    def _refuse(self, status: HTTPStatus, error: str, remedy: str) -> None:
        self._say(status, {"error": error, "remedy": remedy})

    def _say(self, status: HTTPStatus, values: Mapping[str, Any]) -> None:
        """The whole answer, after which the connection ends: an unread body cannot be taken for a next request."""
        body = json.dumps(portable(values), allow_nan=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests by method, path and status: prompts are the client's and stay out of the log."""
        if self.command == "POST":
            log.info("%s %s", self.command, urlsplit(self.path).path)


def answer(predictor: Predictor, body: bytes, name: str, prompt: str) -> dict[str, Any]:
    """Answer for one picture or volume.

    Args:
        predictor: An opened bundle.
        body: Bytes of the file.
        name: What the file is called; only the suffix is used. Empty means a picture.
        prompt: What is asked; empty takes the bundle's only prompt.

    Returns:
        The prediction's `values`, and its `pictures` as PNG in base64, by name.

    Raises:
        BadInput: The file or the prompt cannot be used.
    """
    suffix = _suffix(name or "picture.png")
    with TemporaryDirectory(prefix="thaw-serve-") as folder:
        path = Path(folder) / f"upload{suffix}"
        path.write_bytes(body)
        prediction = predictor.predict(predictor.read(path), prompt)
    pictures = {name: _png(picture) for name, picture in prediction.pictures.items()}
    return {"values": dict(prediction.values), "pictures": pictures}


def _suffix(name: str) -> str:
    known = [suffix for suffix in SUFFIXES if PurePosixPath(name).name.lower().endswith(suffix)]
    if not known:
        raise BadInput("this kind of file is not read", where=name, remedy=f"name one of {', '.join(SUFFIXES)}")
    return max(known, key=len)


def _png(picture: Any) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()
