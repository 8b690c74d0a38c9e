"""At tiny: which towers each kind of epoch evaluates, and that the comparison of numbers can fail."""

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from torch import Tensor

from components.cli.values import PARAMS
from components.core.config import read_params
from components.core.engine.cache import Bank
from components.core.models.clip import ClipTower
from pipelines.benchmark import agreement, pace
from pipelines.benchmark.agreement import BATCH, compare, difference
from pipelines.cli import main
from pipelines.rehearsal import Rehearsal, rehearse

FEW = "recipe.data.synthetic.images=12"
PHASES = ["warmup", "partial_unfreeze"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    values = read_params(PARAMS / "freqmedclip.yaml", "tiny", [FEW])
    return rehearse(values, "tiny", tmp_path_factory.mktemp("tiny"), untrained=True)


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Images and texts that went through the towers."""
    found: Counter[str] = Counter()
    entering, text = ClipTower.entering, ClipTower.text

    def count_images(self: ClipTower, image: Tensor, block: int) -> Tensor:
        found["images"] += len(image)
        return entering(self, image, block)

    def count_texts(self: ClipTower, ids: Tensor) -> Tensor:
        found["texts"] += len(ids)
        return text(self, ids)

    monkeypatch.setattr(ClipTower, "entering", count_images)
    monkeypatch.setattr(ClipTower, "text", count_texts)
    return found


def test_each_kind_evaluates_what_it_says(
    tiny: Rehearsal, tmp_path: Path, evaluated: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Counter[str]] = {}
    real = pace._Lane.epoch

    def epoch(lane: pace._Lane) -> float:
        before = evaluated.copy()
        seconds = real(lane)
        kept = set(lane.features._banks)
        kind = pace.CACHED if "vision:3" in kept else pace.TEXTS if kept else pace.OFF
        seen[kind] = evaluated - before
        return seconds

    monkeypatch.setattr(pace._Lane, "epoch", epoch)
    few = tiny.few(3)
    found = pace.measure(few, "warmup", pairs=2, folder=tmp_path)
    count = few.samples
    assert seen[pace.CACHED] == Counter()
    assert seen[pace.TEXTS] == Counter(images=count)
    assert seen[pace.OFF] == Counter(images=count, texts=count)
    assert {kind: len(times) for kind, times in found.epochs.items()} == {pace.CACHED: 2, pace.TEXTS: 2, pace.OFF: 2}
    assert found.samples == count and found.fill > 0


def test_neighbouring_rounds_turn_the_order_around() -> None:
    told: list[str] = []

    class Lane:
        def __init__(self, name: str) -> None:
            self.name = name

        def epoch(self) -> float:
            told.append(self.name)
            return float(len(told))

    found = pace.alternate({name: Lane(name) for name in "abc"}, pairs=2)  # type: ignore[arg-type]
    assert told == list("abccba")
    assert found == {"a": [1.0, 6.0], "b": [2.0, 5.0], "c": [3.0, 4.0]}


@pytest.mark.parametrize("phase", PHASES)
def test_the_cache_changes_no_number(tiny: Rehearsal, tmp_path: Path, phase: str) -> None:
    few = tiny.few(3)
    assert few.samples > BATCH  # filled in other batches than trained on
    found = compare(few, phase, 20, tmp_path)
    assert found.steps == 20
    assert found.holds, found


@pytest.mark.parametrize("error", [1e-3, 1e-1])
def test_features_that_differ_are_noticed(
    tiny: Rehearsal, tmp_path: Path, error: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Bank.read
    monkeypatch.setattr(Bank, "read", lambda self, rows: read(self, rows) * (1 + error * torch.rand(())))
    found = compare(tiny.few(2), "warmup", 2, tmp_path)
    assert not found.holds
    assert found.gradient > agreement.GRADIENT_TOLERANCE


def test_a_difference_is_relative_to_its_tensor() -> None:
    right = {"large": torch.full((4,), 10.0), "small": torch.full((4,), 0.1)}
    assert difference(right, right) == 0
    left = {**right, "small": right["small"] + 0.01}
    assert difference(left, right) == pytest.approx(0.1, rel=1e-4)
    nothing = {"large": right["large"], "small": torch.zeros(4)}
    assert difference({**nothing, "small": torch.full((4,), 1e-7)}, nothing) < 1e-4
    with pytest.raises(ValueError, match="different tensors"):
        difference({"large": right["large"]}, right)


def test_the_command_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    few = ["--images", "2", "--pairs", "1", "--steps", "2", "--set", FEW, "--output", str(file)]
    assert main(["benchmark", "cache", "freqmedclip", "--size", "tiny", *few]) == 0
    printed = capsys.readouterr().out
    assert "faster by" in printed and "the same steps with and without the cache" in printed
    found = json.loads(file.read_text(encoding="utf-8"))
    assert [one["pace"]["phase"] for one in found["savings"]] == PHASES
    assert all(one["all"]["target"] is None for one in found["savings"])  # targets are those of full


def test_bad_input_has_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong, remedy in ((["--phases", "warm"], "choose from warmup"), (["--pairs", "0"], "time one pair or more")):
        assert main(["benchmark", "cache", "freqmedclip", "--size", "tiny", "--set", FEW, *wrong]) == 2
        assert f"remedy: {remedy}" in capsys.readouterr().err
