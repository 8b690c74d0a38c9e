"""S3 servers for the tests of every folder, one of each kind for a whole session: a plugin of pytest."""

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.store.radosgw import ACCESS_KEY, REGION, Cluster, Gateway, missing_programs

SECRET = "a-secret-that-must-not-leak"
BUCKET = "thaw-tests"


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """Address of a moto server; it lives as long as the session."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="session")
def radosgw() -> Iterator[Gateway]:
    """A real S3 server with cephx and signatures on; it lives as long as the session."""
    if missing := missing_programs():
        pytest.skip(f"no Ceph on this machine: {', '.join(missing)} missing")
    with TemporaryDirectory(prefix="ceph-") as folder:
        cluster = Cluster(Path(folder), SECRET)
        try:
            yield cluster.start()
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
def s3_endpoint(moto: str) -> str:
    """Address of the fast server, with the bucket."""
    make_bucket(moto)
    return moto


@pytest.fixture(scope="session")
def real_s3_endpoint(radosgw: Gateway) -> str:
    """Address of the real server, with the bucket."""
    make_bucket(radosgw.address)
    return radosgw.address


SERVERS = {"moto": "s3_endpoint", "radosgw": "real_s3_endpoint"}
EACH_SERVER = ["moto", pytest.param("radosgw", marks=pytest.mark.services)]
"""Parameters of a fixture that holds for both."""


@pytest.fixture
def lead_to(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Points boto3's default chain at a server by its name, and returns the address."""

    def lead(server: str) -> str:
        address: str = request.getfixturevalue(SERVERS[server])
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in Gateway(address, ACCESS_KEY, SECRET).environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        return address

    return lead


@pytest.fixture(params=EACH_SERVER)
def s3_environment(request: pytest.FixtureRequest, lead_to: Callable[[str], str]) -> str:
    """The environment that points boto3's default chain at each server in turn."""
    return lead_to(request.param)


def make_bucket(address: str) -> None:
    import boto3

    boto3.session.Session().client(
        "s3", endpoint_url=address, region_name=REGION, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET
    ).create_bucket(Bucket=BUCKET)


class Always:
    """An HTTP server that answers every request alike."""

    def __init__(self, status: int, body: bytes) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.send_response(status)
                self.send_header("Content-Type", "application/xml")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        for method in ("GET", "PUT", "HEAD", "DELETE", "POST"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def answering(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, bytes], None]]:
    """Call it with a status and a body to be answered so whatever is asked."""
    servers: list[Always] = []

    def start(status: int, body: bytes) -> None:
        servers.append(Always(status, body))
        monkeypatch.setenv("AWS_ENDPOINT_URL", servers[-1].address)

    yield start
    for server in servers:
        server.close()
