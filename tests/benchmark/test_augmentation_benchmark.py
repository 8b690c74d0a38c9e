"""Both makers are given the same numbers and the same pictures, and what is counted is what is timed."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from components import stages
from components.cli.values import PARAMS, configure
from components.core.augment.simclr import ColourViews, GreyViews, Views
from components.core.config import read_params
from components.core.errors import BadInput
from pipelines.benchmark import augmentation
from pipelines.benchmark.augmentation import OURS, PRESETS, THEIRS, grey, measure, ours, theirs
from pipelines.benchmark.augmentation_pictures import describe, load_pictures
from pipelines.cli import main

FEW = "recipe.data.synthetic.images=8"


@pytest.fixture
def pictures() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.integers(0, 256, (height, 40, 3), dtype=np.uint8) for height in (30, 50, 44)]


@pytest.mark.parametrize("preset", PRESETS)
def test_both_end_with_the_same_kind_of_tensor(pictures: list[np.ndarray], preset: str) -> None:
    for make in (ours(pictures, PRESETS[preset], 24), theirs(pictures, PRESETS[preset], 24)):
        views = torch.stack(list(make(1)))
        assert views.shape == (2, 3, 24, 24) and views.dtype == torch.float32
        assert float(views.min()) >= 0 and float(views.max()) <= 1
        assert not torch.equal(views[0], views[1])


@pytest.mark.parametrize("views", [ColourViews(), GreyViews(), ColourViews(crop=0.5, hue=0.1, sigma=(0.2, 0.4))])
def test_lightly_is_given_our_numbers(pictures: list[np.ndarray], views: Views) -> None:
    transform = theirs(pictures, views, 24).__closure__
    assert transform is not None
    (made,) = [cell.cell_contents for cell in transform if "SimCLR" in type(cell.cell_contents).__name__]
    steps = {type(step).__name__: step for step in made.transforms[0].transform.transforms}
    assert steps["RandomResizedCrop"].scale == (views.crop, 1.0)
    assert steps["RandomHorizontalFlip"].p == views.flip_horizontal
    assert steps["GaussianBlur"].sigmas == views.sigma and steps["GaussianBlur"].prob == views.blur
    assert steps["RandomGrayscale"].p == getattr(views, "grey", 0.0)
    jitter = steps["RandomApply"].transforms[0]
    assert jitter.hue == ((-views.hue, views.hue) if isinstance(views, ColourViews) else None)
    assert (jitter.saturation is None) == isinstance(views, GreyViews)
    assert "Normalize" not in steps


def test_every_round_makes_new_views_of_every_picture(
    pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: dict[str, list[int]] = {OURS: [], THEIRS: []}
    monkeypatch.setattr(augmentation, "ours", lambda *_: made[OURS].append)
    monkeypatch.setattr(augmentation, "theirs", lambda *_: made[THEIRS].append)
    found = measure(pictures, "grey", 16, threads=2, pairs=2)
    assert {name: sorted(numbers) for name, numbers in made.items()} == {OURS: list(range(9)), THEIRS: list(range(9))}
    assert {name: len(times) for name, times in found.seconds.items()} == {OURS: 2, THEIRS: 2}
    assert found.pictures == 3 and found.threads == 2
    ratios = [b / a for a, b in zip(found.seconds[OURS], found.seconds[THEIRS], strict=True)]
    assert (found.faster.low, found.faster.high) == (min(ratios), max(ratios))


def test_the_machine_is_left_as_it_was(pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def make(_number: int) -> None:
        seen.append((cv2.getNumThreads(), torch.get_num_threads()))

    monkeypatch.setattr(augmentation, "ours", lambda *_: make)
    monkeypatch.setattr(augmentation, "theirs", lambda *_: make)
    before = cv2.getNumThreads(), torch.get_num_threads()
    measure(pictures, "colour", 16, threads=1, pairs=1)
    assert set(seen) == {(1, 1)}
    assert (cv2.getNumThreads(), torch.get_num_threads()) == before


def test_grey_pictures_have_equal_channels(pictures: list[np.ndarray]) -> None:
    made = grey(pictures)
    assert [one.shape for one in made] == [one.shape for one in pictures]
    assert all((one[..., 0] == one[..., 1]).all() and (one[..., 0] == one[..., 2]).all() for one in made)


def test_without_lightly_it_says_what_is_missing(pictures: list[np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "find_spec", lambda _name: None)
    with pytest.raises(BadInput, match="lightly") as error:
        theirs(pictures, ColourViews(), 24)
    assert "dev" in error.value.remedy


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    few = ["--images", "3", "--pairs", "1", "--sizes", "16", "--threads", "1", "2", "--set", FEW]
    assert main(["benchmark", "augment", "freqmedclip", *few, "--output", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "two views of 3 pictures" in printed and "lightly" in printed
    found = json.loads(file.read_text(encoding="utf-8"))["throughput"]
    kinds = [(one["preset"], one["size"], one["threads"]) for one in found]
    assert kinds == [("colour", 16, 1), ("colour", 16, 2), ("grey", 16, 1), ("grey", 16, 2)]
    assert all(one["rates"]["thaw"] > 0 for one in found)
    assert main(["benchmark", "augment", "freqmedclip", "--images", "0"]) == 2


def test_pictures_are_picked_over_the_whole_set(tmp_path: Path) -> None:
    values = read_params(PARAMS / "freqmedclip.yaml", "tiny", [FEW])
    recipe = vars(configure(stages.load("prepare"), values, "test"))["recipe"]
    found = load_pictures(recipe.data, None, 4, tmp_path)
    assert len(found) == 4 and all(one.ndim == 3 and one.shape[2] == 3 for one in found)
    assert describe(found).startswith("4 pictures, ")
