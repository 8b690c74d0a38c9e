"""Which images a run takes: named by hand, or as `make images` recorded them."""

from pathlib import Path

import pytest

from components.core.errors import BadInput
from pipelines.images import RECORD, read_images, read_pinned

DIGEST = f"sha256:{'0' * 64}"


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


def test_pushed_images_are_taken_for_a_cluster() -> None:
    RECORD.write_text(f'{{"cpu": "r/cpu@{DIGEST}", "gpu": "r/gpu@{DIGEST}"}}')
    assert read_pinned(None) == {"cpu": f"r/cpu@{DIGEST}", "gpu": f"r/gpu@{DIGEST}"}
    assert read_pinned(f"r/all@{DIGEST}") == {"cpu": f"r/all@{DIGEST}", "gpu": f"r/all@{DIGEST}"}


@pytest.mark.parametrize("image", ["r/gpu", "r/gpu:1.0", "r/gpu@sha256:abc", f"@{DIGEST}", f"r/gpu@{DIGEST} "])
def test_an_image_without_a_digest_is_refused(image: str) -> None:
    for given in (image, f"cpu=r/cpu@{DIGEST},gpu={image}x"):
        with pytest.raises(BadInput, match="pinned by its digest"):
            read_pinned(given)


def test_images_that_were_not_pushed_are_refused() -> None:
    RECORD.write_text('{"cpu": "thaw-cpu:1", "gpu": "thaw-gpu:1"}')
    with pytest.raises(BadInput) as caught:
        read_pinned(None)
    assert "make images PUSH=" in str(caught.value.remedy)
