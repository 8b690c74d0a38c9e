"""Stores of both kinds in fresh places, and a proxy before an S3 server."""

import select
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.core.store.local import LocalStore
from components.core.store.protocol import Store
from components.core.store.retry import Retry
from components.core.store.s3 import S3Store
from tests.store.servers import BUCKET, EACH_SERVER


@pytest.fixture
def s3_store(s3_environment: str) -> S3Store:
    """A fresh prefix, with short retries and small parts (5 MiB, the smallest S3 allows)."""
    return fresh_store()


@pytest.fixture(params=["local", *EACH_SERVER])
def store(request: pytest.FixtureRequest, tmp_path: Path, lead_to: Callable[[str], str]) -> Store:
    """Every kind of store in turn."""
    if request.param == "local":
        return LocalStore(tmp_path / "store")
    lead_to(request.param)
    return fresh_store()


def fresh_store() -> S3Store:
    return S3Store(BUCKET, f"run-{uuid.uuid4().hex}", retry=Retry(attempts=4, first=0.01, cap=0.05), part=5 << 20)


class DroppingProxy:
    """Passes TCP on to a server, and on demand closes the connection in place of the server's next responses."""

    def __init__(self, target: str) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.drop = 0
        self.dropped = 0

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._target) as server:
            while not self._stopped.is_set():
                for ready in select.select([client, server], [], [], 0.1)[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    if ready is client:
                        server.sendall(data)
                    elif self.drop and not data.startswith(b"HTTP/1.1 100"):
                        self.drop -= 1
                        self.dropped += 1
                        return
                    else:
                        client.sendall(data)

    def close(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def proxy(s3_environment: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DroppingProxy]:
    """A proxy before the server, which the environment points at."""
    made = DroppingProxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.address)
    yield made
    made.close()
