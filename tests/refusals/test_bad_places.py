"""Places that cannot be read or written: the reason, without secrets, and the right exit code."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.refusals.conftest import Refuse, left_behind
from tests.refusals.test_bad_values import training
from tests.store.servers import BUCKET, SECRET

PROJECT = Path(__file__).resolve().parents[2]

DENIED = f"<Error><Code>InvalidAccessKeyId</Code><Message>{SECRET} is not known</Message></Error>".encode()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries do not wait."""
    monkeypatch.setattr("components.core.store.retry.time.sleep", lambda seconds: None)


def test_a_store_that_cannot_be_reached(
    prepared: Path,
    refuse: Refuse,
    tmp_path: Path,
    s3_environment: str,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    store = f"runtime.checkpoints.store=s3://{BUCKET}/x"
    found = refuse(*training(tmp_path, prepared, "--set", store), code=75)
    assert f"s3://{BUCKET}/x" in found.text and SECRET not in found.text


def test_credentials_that_are_wrong(
    prepared: Path, refuse: Refuse, tmp_path: Path, answering: Callable[[int, bytes], None], impatient: None
) -> None:
    answering(403, DENIED)
    found = refuse(*training(tmp_path, prepared, "--set", f"runtime.checkpoints.store=s3://{BUCKET}/x"))
    assert f"s3://{BUCKET}/x" in found.text and SECRET not in found.text


def test_a_bucket_that_is_not_there(
    prepared: Path, refuse: Refuse, tmp_path: Path, s3_environment: str, impatient: None
) -> None:
    found = refuse(*training(tmp_path, prepared, "--set", "runtime.checkpoints.store=s3://nobody-has-this/x"))
    assert "nobody-has-this" in found.text


def test_an_input_that_is_not_there(refuse: Refuse, tmp_path: Path) -> None:
    found = refuse(*training(tmp_path, tmp_path / "absent"))
    assert str(tmp_path / "absent") in found.text and "--dataset" in found.text


def test_an_input_of_another_kind(prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    found = refuse(*training(tmp_path, prepared.parent))
    assert str(prepared.parent) in found.text
    out = tmp_path / "out"
    found = refuse(
        "partial-unfreeze", "freqmedclip", "--dataset", prepared, "--weights", prepared,
        "--model", out / "model", "--metrics", out / "metrics.json",
    )  # fmt: skip
    assert str(prepared) in found.text


def test_a_folder_below_a_file(prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    found = refuse("prepare", "freqmedclip", "--dataset", tmp_path / "file" / "dataset")
    assert str(tmp_path / "file") in found.text
    found = refuse("run", "freqmedclip", "--out", tmp_path / "file" / "run")
    assert str(tmp_path / "file") in found.text


def refuse_without_room(here: Path, *words: object) -> None:
    """Run a command line in a process whose files cannot grow beyond 4 kB: what a full disk looks like.

    A process of its own, because the limit also holds for the file that a test run may be writing its output to.
    """
    done = subprocess.run(
        [sys.executable, "-m", "pipelines", *map(str, words)],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 75, done.stderr
    assert done.stderr.count("thaw: error") == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert left_behind(here / "out") == []


def test_a_full_disk_while_preparing(tmp_path: Path) -> None:
    refuse_without_room(tmp_path, "prepare", "freqmedclip", "--dataset", tmp_path / "out" / "dataset")


def test_a_full_disk_while_training(prepared: Path, tmp_path: Path) -> None:
    refuse_without_room(tmp_path, *training(tmp_path, prepared))
