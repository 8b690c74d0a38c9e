"""The scrape endpoint: an HTTP page with the current metrics while a stage runs."""

import threading
from types import TracebackType
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server

from components.core.errors import BadInput

ADDRESSES = {"loopback": "127.0.0.1", "all": "0.0.0.0"}  # noqa: S104  chosen by the configuration, never by default


class Endpoint:
    """Serves a registry at `http://address:port/metrics` from a daemon thread.

    Args:
        registry: What to serve.
        port: TCP port; 0 serves nothing.
        address: `loopback` for this machine only, `all` for pods, where the scraper is another machine.

    Raises:
        BadInput: The port is taken or not allowed.
    """

    def __init__(self, registry: CollectorRegistry, port: int, address: str = "loopback") -> None:
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None
        if port == 0:
            return
        try:
            self._server, self._thread = start_http_server(port, ADDRESSES[address], registry)
        except OSError as error:
            raise BadInput(
                f"cannot serve metrics: {error.strerror}",
                where=f"runtime.metrics_port = {port}",
                remedy="choose a free port, or 0 to serve none",
            ) from error

    @property
    def port(self) -> int:
        """The port being served; 0 when none is."""
        return self._server.server_port if self._server else 0

    def close(self) -> None:
        """Stop serving and free the port. May be called twice."""
        if self._server and self._thread:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> "Endpoint":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
