"""`thaw predict`: pictures in, pictures out, and errors a person can act on."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import PROMPT
from PIL import Image

from components.core.errors import BadInput
from components.core.export.bundle import Bundle, portable
from pipelines.commands_predict import predict_command


@pytest.fixture
def bundle(plain: Bundle) -> Path:
    return plain.folder


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (33, 57), dtype=np.uint8)).save(path)
    return path


def copied(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / "copy"))


def test_mask_and_probability_are_written_at_the_native_size(bundle: Path, picture: Path, tmp_path: Path) -> None:
    answer = predict_command(picture, PROMPT, bundle, tmp_path / "new" / "mask.png")
    mask = np.asarray(Image.open(answer["files"]["mask"]))
    probability = np.asarray(Image.open(answer["files"]["probability"]))
    assert mask.shape == probability.shape == (33, 57)
    assert set(np.unique(mask)) <= {0, 255}
    assert answer["mask_pixels"] == int((mask > 0).sum())
    clear = np.abs(probability.astype(int) - 128) > 1
    np.testing.assert_array_equal(mask[clear] > 0, probability[clear] > 128)
    assert Path(answer["files"]["probability"]).name == "mask.probability.png"
    assert answer["warning"].startswith("Not for diagnosis")


def test_the_answer_is_named_after_the_picture(
    bundle: Path, picture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    predict_command(picture, "", bundle)
    assert (tmp_path / "picture.mask.png").exists()
    assert (tmp_path / "picture.mask.probability.png").exists()


def test_other_files_than_png_are_not_written(bundle: Path, picture: Path) -> None:
    with pytest.raises(BadInput, match="written as PNG or JSON"):
        predict_command(picture, "", bundle, Path("mask.jpg"))


def test_a_damaged_bundle_is_refused(bundle: Path, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    with (folder / "saliency.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BadInput, match="missing or damaged"):
        Bundle.open(folder)


def test_a_bundle_reads_no_file_outside_of_its_folder(bundle: Path, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata["files"]["../secret"] = "0"
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(BadInput, match="outside of the bundle"):
        Bundle.open(folder)


def test_what_is_no_bundle_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="not a bundle"):
        Bundle.open(tmp_path)
    (tmp_path / "metadata.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadInput, match="not valid JSON"):
        Bundle.open(tmp_path)
    (tmp_path / "metadata.json").write_text('{"schema": 99}', encoding="utf-8")
    with pytest.raises(BadInput, match="schema 99"):
        Bundle.open(tmp_path)


def test_a_recipe_of_another_version_is_named(bundle: Path, picture: Path, tmp_path: Path) -> None:
    folder = copied(bundle, tmp_path)
    values = json.loads((folder / "recipe.json").read_text())
    (folder / "recipe.json").write_text(json.dumps({**values, "brand_new": 1}))
    metadata = json.loads((folder / "metadata.json").read_text())
    del metadata["files"]["recipe.json"]
    (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(BadInput, match="brand_new"):
        predict_command(picture, "", folder)


def test_numbers_that_are_not_finite_become_null() -> None:
    assert portable({"a": [float("nan"), 1.5], "b": {"c": float("-inf")}, 3: True}) == {
        "a": [None, 1.5],
        "b": {"c": None},
        "3": True,
    }
