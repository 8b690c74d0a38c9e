"""Which images a run takes: named by hand, or as `make images` recorded them."""

from pathlib import Path

import pytest

from components.core.errors import BadInput
from pipelines.images import RECORD, read_images


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    RECORD.parent.mkdir()


def test_images_named_by_hand() -> None:
    assert read_images("cpu=a:1,gpu=b@sha256:00") == {"cpu": "a:1", "gpu": "b@sha256:00"}
    assert read_images("thaw-gpu:1") == {"cpu": "thaw-gpu:1", "gpu": "thaw-gpu:1"}


def test_images_as_recorded() -> None:
    RECORD.write_text('{"cpu": "thaw-cpu:1", "gpu": "thaw-gpu:1", "gpu-compile": "x:1"}')
    assert read_images(None) == {"cpu": "thaw-cpu:1", "gpu": "thaw-gpu:1"}


@pytest.mark.parametrize("given", ["cpu=a", "cpu=a,gpu=", "cpu=a,gpu=b,tpu=c", "=a"])
def test_a_kind_that_is_unknown_or_missing(given: str) -> None:
    with pytest.raises(BadInput, match="unknown or missing"):
        read_images(given)


@pytest.mark.parametrize("record", [None, "", "[]", "{", '{"cpu": "a"}'])
def test_no_record_or_a_broken_one(record: str | None) -> None:
    if record is not None:
        RECORD.write_text(record)
    with pytest.raises(BadInput) as caught:
        read_images(None)
    assert "make images" in str(caught.value.remedy)
