"""Raw data that cannot be used is refused as a whole, by the name of the file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.refusals.conftest import Refuse, mask, picture


def wrong_size(raw: Path) -> str:
    return str(mask(raw / "masks/03.png", (40, 39)))


def truncated(raw: Path) -> str:
    file = raw / "images/03.png"
    file.write_bytes(file.read_bytes()[:-300])
    return "images/03.png"


def not_finite(raw: Path) -> str:
    pixels = np.random.default_rng(3).random((40, 40), np.float32)
    pixels[5, 5] = np.nan
    (raw / "images/03.png").unlink()
    Image.fromarray(pixels).save(raw / "images/03.tiff")
    return "images/03.tiff"


def no_mask(raw: Path) -> str:
    (raw / "masks/03.png").unlink()
    return "images/03.png"


def no_picture(raw: Path) -> str:
    (raw / "images/03.png").unlink()
    return "masks/03.png"


def unknown_value(raw: Path) -> str:
    Image.fromarray(np.full((40, 40), 7, np.uint8)).save(raw / "masks/03.png")
    return "masks/03.png"


def twice(raw: Path) -> str:
    picture(raw / "images/03.bmp", 3)
    return "03.bmp"


def no_picture_at_all(raw: Path) -> str:
    (raw / "images/03.png").write_text("a letter to the reader")
    return "images/03.png"


FAULTS = [wrong_size, truncated, not_finite, no_mask, no_picture, unknown_value, twice, no_picture_at_all]


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_one_bad_file(spoil: Callable[[Path], str], raw: Path, refuse: Refuse, tmp_path: Path) -> None:
    named = spoil(raw)
    found = refuse("prepare", "freqmedclip", "--raw", raw, "--dataset", tmp_path / "out" / "dataset")
    assert named in found.text


def test_every_unreadable_file_is_listed(raw: Path, refuse: Refuse, tmp_path: Path) -> None:
    for number in (3, 5, 8):
        (raw / f"images/{number:02d}.png").write_bytes(b"\x89PNG")
    found = refuse("prepare", "freqmedclip", "--raw", raw, "--dataset", tmp_path / "out" / "dataset")
    assert all(f"images/{number:02d}.png" in found.text for number in (3, 5, 8))
    assert "quarantine.max_fraction" in found.text


def test_an_empty_folder(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    found = refuse("prepare", "freqmedclip", "--raw", tmp_path / "raw", "--dataset", tmp_path / "out" / "dataset")
    assert "empty" in found.text and str(tmp_path / "raw") in found.text


def test_a_folder_that_is_not_there(refuse: Refuse, tmp_path: Path) -> None:
    found = refuse("prepare", "freqmedclip", "--raw", tmp_path / "raw", "--dataset", tmp_path / "out" / "dataset")
    assert "does not exist" in found.text and str(tmp_path / "raw") in found.text
    assert "correct --raw or --data" in found.text
    found = refuse("run", "freqmedclip", "--data", tmp_path / "raw", "--out", tmp_path / "out")
    assert str(tmp_path / "raw") in found.text


def test_too_few_cases_to_split(raw: Path, refuse: Refuse, tmp_path: Path) -> None:
    for number in range(2, 12):
        (raw / f"images/{number:02d}.png").unlink()
        (raw / f"masks/{number:02d}.png").unlink()
    refuse("prepare", "freqmedclip", "--raw", raw, "--dataset", tmp_path / "out" / "dataset")


def test_a_dataset_that_is_damaged(prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    import shutil

    copy = tmp_path / "dataset"
    shutil.copytree(prepared, copy)
    shard = next(copy.rglob("*.safetensors"))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    out = tmp_path / "out"
    found = refuse(
        "warmup", "freqmedclip", "--dataset", copy, "--model", out / "model", "--metrics", out / "metrics.json"
    )
    assert shard.name in found.text
