"""A stand-in for the hub: lists one data set and serves its files, also from the middle."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NAME = "owner/scans"


@dataclass
class Hub:
    """Files by name, and what was asked.

    Attributes:
        files: Of the data set.
        token: What a request must bring; empty asks for none.
        broken: Answer to every download, where it is above 0.
        asked: Names of the files that were sent, in order.
    """

    files: dict[str, bytes]
    token: str = ""
    broken: int = 0
    asked: list[str] = field(default_factory=list)

    def start(self) -> tuple[ThreadingHTTPServer, str]:
        """The running server, and its address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        Thread(target=server.serve_forever, daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_address[1]}"


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def _answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
                return self._send(401, b"", {"X-Error-Code": "RepoNotFound"})
            if path.startswith(f"/api/datasets/{NAME}/tree/"):
                listed = [
                    {"type": "file", "path": name, "size": len(data), "oid": sha256(data).hexdigest()[:40]}
                    for name, data in sorted(hub.files.items())
                ]
                return self._send(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
            prefix = f"/datasets/{NAME}/resolve/main/"
            name = path.removeprefix(prefix)
            if not path.startswith(prefix) or name not in hub.files:
                return self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            return self._file(name, body=body)

        def _file(self, name: str, *, body: bool) -> None:
            data = hub.files[name]
            headers = {"ETag": f'"{sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if body and hub.broken:
                return self._send(hub.broken, b"", {})
            if body:
                hub.asked.append(name)
            return self._send(200, data, headers, body=body)

        def _send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool = True) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

    return Handler
