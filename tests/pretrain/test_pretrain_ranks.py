"""Two processes share each batch: every picture is told from those of both, as if one process had them all."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.launched import launched
from tests.engine.test_ranks import numbers
from tests.engine.together import plain
from tests.pretrain.pretrain_together import SCENARIOS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("together")
    for ended in launched("tests.pretrain.pretrain_together", str(folder), folder=folder):
        assert ended.code == 0, ended.log
    return folder


def told(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads((folder / f"{name}.{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("name", ["uneven", "one left over", "batch norm"])
def test_two_processes_end_with_what_one_ends_with(folder: Path, tmp_path: Path, name: str) -> None:
    first, second = told(folder, name)
    assert "error" not in first, first
    assert first == second
    expected = plain(SCENARIOS[name](tmp_path))
    assert list(numbers(first)) == pytest.approx(list(numbers(expected)), rel=1e-4, abs=1e-5)
    losses = [row["train/nt_xent"] for row in expected["history"]]
    assert [row["train/nt_xent"] for row in first["history"]] == pytest.approx(losses, rel=1e-5)
    assert max(losses) - min(losses) > 1e-3


def test_a_picture_at_fault_in_one_process_is_named_in_both(folder: Path) -> None:
    first, second = told(folder, "poisoned")
    assert (first["error"], second["error"]) == ("NonFinite", "NonFinite")
    assert first["code"] == second["code"] == 2
    for found in (first, second):
        assert "nt_xent" in found["text"]
        assert found["text"].count("train") + found["text"].count("unlabelled") == 1, found["text"]


def test_out_of_memory_names_what_both_can_hold(folder: Path) -> None:
    for found in told(folder, "too large"):
        assert found["error"] == "OutOfMemory"
        assert "the largest batch that fits is 2" in found["text"]
