"""`thaw pipeline submit` against a server that records what it is asked, and against servers that refuse."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.core.digest import digest_path
from components.core.errors import BadInput, Temporary
from pipelines.cli import main
from pipelines.submit import TOKEN, Server, pin, read_token, submit

IMAGE = "registry.example/thaw@sha256:" + "a" * 64
SECRET = "a-token-that-must-not-leak"


class Kubeflow:
    """A Kubeflow Pipelines server of this machine, as far as starting a run goes."""

    def __init__(self, multi_user: bool = True) -> None:
        self.multi_user = multi_user
        self.asked: list[tuple[str, str, Any]] = []
        self.tokens: set[str | None] = set()
        self.answers: dict[str, tuple[int, Any]] = {}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(None)

            def do_POST(self) -> None:
                self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def answer(self, body: Any) -> None:
                path = self.path.partition("?")[0].removeprefix("/apis/v2beta1/")
                outer.asked.append((self.command, path, body))
                outer.tokens.add(self.headers["authorization"])
                status, document = outer.answers.get(path, (200, outer.document(self.command, path)))
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        self.host = f"http://127.0.0.1:{self.server.server_port}"

    def document(self, method: str, path: str) -> dict[str, Any]:
        if path == "healthz":
            return {"multi_user": self.multi_user}
        if path == "experiments":
            return {"experiment_id": "e1", "display_name": "thaw"} if method == "POST" else {}
        return {"run_id": "r1"}

    def posted(self, path: str) -> Any:
        (body,) = [body for method, found, body in self.asked if (method, found) == ("POST", path)]
        return body

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def kubeflow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Kubeflow]]:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(TOKEN, SECRET)
    made: list[Kubeflow] = []

    def start(**how: Any) -> Kubeflow:
        made.append(Kubeflow(**how))
        return made[-1]

    yield start
    for server in made:
        server.close()


def call(host: str, *more: str) -> int:
    return main(["pipeline", "submit", "freqmedclip", "--size", "tiny", "--image", IMAGE, "--host", host, *more])


def test_a_run_is_started_with_everything_it_was_given(
    kubeflow: Callable[..., Kubeflow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = kubeflow()
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.png").write_bytes(b"1")
    more = ["--namespace", "team", "--experiment", "lesions", "--service-account", "thaw-pipeline", "--name", "first"]
    assert call(server.host, *more, "--data", "/thaw/raw", "--content", str(raw), "--folds", "5") == 0
    experiment, run = server.posted("experiments"), server.posted("runs")
    assert (experiment["display_name"], experiment["namespace"]) == ("lesions", "team")
    assert (run["display_name"], run["experiment_id"], run["service_account"]) == ("first", "e1", "thaw-pipeline")
    assert run["runtime_config"]["parameters"] == {"raw": "/thaw/raw", "raw_digest": digest_path(raw)}
    ir = run["pipeline_spec"]
    ir = ir.get("pipeline_spec", ir)
    assert ir["pipelineInfo"]["name"] == "thaw-freqmedclip"
    images = {one["container"]["image"] for one in ir["deploymentSpec"]["executors"].values()}
    assert images == {IMAGE}
    assert "for-loop" in json.dumps(ir["root"]["dag"]["tasks"])
    assert server.tokens == {f"Bearer {SECRET}"}
    printed = capsys.readouterr()
    assert f"run   r1   {server.host}/#/runs/details/r1" in printed.out
    assert SECRET not in printed.out + printed.err


def test_the_account_of_the_values_is_taken_where_none_is_given(kubeflow: Callable[..., Kubeflow]) -> None:
    server = kubeflow(multi_user=False)
    assert call(server.host, "--set", "pipeline.service_account=of-values") == 0
    run = server.posted("runs")
    assert run["service_account"] == "of-values"
    assert run["runtime_config"].get("parameters") in ({}, None)
    assert run["display_name"].startswith("thaw-freqmedclip")
    assert server.posted("experiments").get("namespace") in ("", None), "a server of one user refuses to be told one"


def test_a_server_of_several_users_needs_a_namespace(
    kubeflow: Callable[..., Kubeflow], capsys: pytest.CaptureFixture[str]
) -> None:
    server = kubeflow()
    assert call(server.host) == 2
    assert "remedy: give --namespace" in capsys.readouterr().err
    assert not [entry for entry in server.asked if entry[0] == "POST"]


@pytest.mark.parametrize(
    ("path", "status", "kind", "message"),
    [
        ("healthz", 401, BadInput, "refuses access"),
        ("runs", 403, BadInput, "THAW_KFP_TOKEN"),
        ("healthz", 404, BadInput, "address of the API"),
        ("runs", 400, BadInput, "no such thing"),
        ("runs", 503, Temporary, "failed"),
        ("experiments", 429, Temporary, "failed"),
    ],
)
def test_what_the_server_refuses_is_told(
    kubeflow: Callable[..., Kubeflow], tmp_path: Path, path: str, status: int, kind: type[Exception], message: str
) -> None:
    server = kubeflow(multi_user=False)
    server.answers[path] = (status, {"message": "no such thing"})
    graph = tmp_path / "graph.yaml"
    graph.write_text(yaml.safe_dump({"pipelineInfo": {"name": "toy"}}))
    with pytest.raises(kind, match=message) as error:
        submit(graph, {}, "toy", Server(server.host, token=SECRET))
    assert SECRET not in str(error.value)


def test_a_server_that_is_not_there_is_temporary(kubeflow: Callable[..., Kubeflow], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(Temporary, match="does not answer"):
        submit(tmp_path / "graph.yaml", {}, "toy", Server(f"http://127.0.0.1:{port}"))


def test_without_a_host_nothing_is_tried(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT", raising=False)
    assert main(["pipeline", "submit", "freqmedclip", "--image", IMAGE]) == 2
    assert "--host" in capsys.readouterr().err


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    assert read_token(None) == ""
    monkeypatch.setenv(TOKEN, " secret\n")
    assert read_token(None) == "secret"
    file = tmp_path / "token"
    for text in ("", "two words"):
        file.write_text(text)
        with pytest.raises(BadInput, match="no token"):
            read_token(file)
    file.write_text("other\n")
    assert read_token(file) == "other"
    with pytest.raises(BadInput, match="cannot read the token"):
        read_token(tmp_path / "absent")


def test_data_is_pinned_by_its_content(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a").write_text("1")
    assert pin("", None) == {}
    assert pin(str(raw), None) == {"raw": str(raw), "raw_digest": digest_path(raw)}
    before = pin("/in/pods", raw)
    (raw / "a").write_text("2")
    assert pin("/in/pods", raw)["raw_digest"] != before["raw_digest"]
    with pytest.raises(BadInput, match="not known here"):
        pin("/in/pods", None)


def test_data_that_dvc_tracks_is_pinned_by_dvc_s_digest(tmp_path: Path) -> None:
    file = tmp_path / "raw.dvc"
    file.write_text(yaml.safe_dump({"outs": [{"md5": "0" * 32 + ".dir", "path": "raw"}]}))
    assert pin("/in/pods", file) == {"raw": "/in/pods", "raw_digest": f"dvc:{'0' * 32}.dir"}
    for outs in ([], [{"path": "raw"}], [{"md5": "x"}], [{"md5": "0" * 32}, {"md5": "1" * 32}], None):
        file.write_text(yaml.safe_dump({"outs": outs}))
        with pytest.raises(BadInput, match=r"not a \.dvc file"):
            pin("/in/pods", file)
