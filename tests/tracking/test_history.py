"""The history file: whole lines, cut back on resume, honest about what is broken."""

from pathlib import Path

import pytest

from components.core.tracking.history import History, read_history


def row(step: int, kind: str = "step") -> dict[str, object]:
    return {"kind": kind, "step": step, "losses": {"seg": 1 / step}}


def test_a_fresh_run_replaces_an_older_file(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "history.jsonl"
    for _ in range(2):
        history = History(path)
        history.append(row(1))
        history.append(row(2))
        history.close()
    assert read_history(path) == [row(1), row(2)]


def test_rows_are_on_the_disk_when_append_returns(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append(row(1))
    assert read_history(history.path) == [row(1)]
    history.close()


def test_resume_drops_later_rows_and_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    for step in (1, 2, 3, 4):
        history.append(row(step))
    history.close()
    with path.open("a") as stream:
        stream.write('{"kind":"step","st')
    history = History(path)
    history.resume(2)
    history.append(row(3))
    history.close()
    assert read_history(path) == [row(1), row(2), row(3)]
    assert [file.name for file in tmp_path.iterdir()] == ["history.jsonl"]


def test_a_row_of_the_resumed_step_is_not_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    history.append(row(2))
    history.resume(2)
    history.append(row(2))
    history.append(row(2, "validation"))
    history.close()
    assert read_history(path) == [row(2), row(2, "validation")]


def test_resume_without_a_file_starts_one(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.resume(5)
    history.append(row(6))
    history.close()
    assert read_history(history.path) == [row(6)]


def test_values_that_are_not_finite_become_null(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    history.append({"kind": "step", "step": 1, "losses": {"seg": float("nan"), "hinge": float("inf")}})
    history.close()
    assert read_history(history.path)[0]["losses"] == {"seg": None, "hinge": None}


DAMAGED = [b"not json", b"[1]", b'{"kind":"step"}', b'{"kind":"step","step":"1"}', b'{"step":1}', b"\x00\xff\n"]


@pytest.mark.parametrize("line", DAMAGED)
def test_a_damaged_line_and_what_follows_it_are_dropped_and_said(
    tmp_path: Path, line: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(b'{"kind":"step","step":1}\n' + line + b'\n{"kind":"step","step":2}\n')
    history = History(path)
    history.resume(2)
    history.append({"kind": "step", "step": 3})
    history.close()
    assert [found["step"] for found in read_history(path)] == [1, 3]
    assert "history.jsonl is damaged or cut short at line 2" in caplog.text
