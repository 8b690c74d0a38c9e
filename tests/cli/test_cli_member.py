"""Members of a cross-validation on a stage's command line, and the outcome of a whole pipeline."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from components.cli.main import main
from components.cli.member import Member, parse_member
from components.core.errors import BadInput
from components.outcome.command import succeeded


@pytest.mark.parametrize(
    ("seed", "fold", "member"),
    [
        ("", "", Member()),
        ("3", "", Member(seed=3)),
        ("", "0/5", Member(fold=0, folds=5)),
        ("12", "4/5", Member(12, 4, 5)),
    ],
)
def test_a_member_is_read(seed: str, fold: str, member: Member) -> None:
    assert parse_member(seed, fold) == member


@pytest.mark.parametrize(("seed", "fold"), [("x", ""), ("-1", ""), ("", "5/5"), ("", "1"), ("", "a/b"), ("", "1/5/2")])
def test_what_is_none_is_refused(seed: str, fold: str) -> None:
    with pytest.raises(BadInput, match="not a"):
        parse_member(seed, fold)


def test_a_member_has_its_own_prefix_of_the_store() -> None:
    values = {"seed": 0, "split": {"seed": 9}, "runtime": {"checkpoints": {"store": "s3://b/p/"}, "threads": 1}}
    assert Member(1, 2, 5).over(values) == {
        "seed": 1,
        "split": {"seed": 9, "folds": 5, "fold": 2},
        "runtime": {"checkpoints": {"store": "s3://b/p/seed-1/fold-2"}, "threads": 1},
    }
    assert Member().over(values) == values
    assert Member(seed=1).over({}) == {"seed": 1}


def test_a_stage_refuses_a_fold_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "freqmedclip", "--size", "tiny", "--fold", "9/5", "--dataset", "nowhere"]) == 2
    assert "remedy: write 0/5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ('{"state": "SUCCEEDED", "error": {}}', True),
        ('{"state": "FAILED", "error": {"code": 9}}', False),
        ("Succeeded", True),
        ("Failed", False),
        ("Error", False),
    ],
)
def test_a_status_is_a_success_or_not(status: str, expected: bool) -> None:
    assert succeeded(status) is expected


@pytest.mark.parametrize("status", ["{", "{}", '{"state": 3}', ""])
def test_what_is_no_status_is_refused(status: str) -> None:
    with pytest.raises(BadInput, match="status"):
        succeeded(status)


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Address of a Pushgateway that keeps path and body of what it is pushed."""
    pushed: list[tuple[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            pushed.append((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}", pushed
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("state", "success"), [("SUCCEEDED", "1.0"), ("FAILED", "0.0")])
def test_the_outcome_of_a_pipeline_is_pushed(
    gateway: tuple[str, list[tuple[str, str]]], state: str, success: str
) -> None:
    address, pushed = gateway
    status = f'{{"state": "{state}"}}'
    assert main(["outcome", "hvit", "--pushgateway", address, "--status", status, "--seconds", "7"]) == 0
    ((path, body),) = pushed
    parts = path.removeprefix("/metrics/job/thaw/").split("/")
    group = dict(zip(parts[::2], parts[1::2], strict=True))
    assert group == {"pipeline": "hvit", "stage": "pipeline", "fold@base64": "=", "seed@base64": "="}  # = is empty
    assert f"thaw_outcome_success {success}" in body
    assert "thaw_outcome_duration_seconds 7.0" in body


def test_a_gateway_that_does_not_answer_fails_nothing(caplog: pytest.LogCaptureFixture) -> None:
    arguments = ["outcome", "hvit", "--pushgateway", "127.0.0.1:1", "--status", "Failed"]
    assert main(arguments) == 0
