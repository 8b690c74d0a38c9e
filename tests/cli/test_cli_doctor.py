"""`thaw doctor`: real steps at tiny; counts at full from shapes alone; weights that are not there are said."""

from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch

from components.cli.values import PARAMS
from components.core.config import read_params, validate
from components.warmup.stage import Config
from pipelines import doctor
from pipelines.cli import main
from pipelines.rehearsal import Rehearsal, rehearse


def values(size: str, *overrides: str) -> dict[str, Any]:
    return read_params(PARAMS / "freqmedclip.yaml", size, overrides)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Rehearsal:
    folder = tmp_path_factory.mktemp("tiny")
    return rehearse(values("tiny", "recipe.data.synthetic.images=12"), "tiny", folder, untrained=False)


def test_doctor_steps_through_every_phase(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["doctor", "freqmedclip", "--size", "tiny", "--set", "recipe.data.synthetic.images=12"]) == 0
    printed = capsys.readouterr().out
    assert torch.__version__.partition("+")[0] in printed
    for phase in ("warmup", "partial_unfreeze", "end_to_end"):
        row = next(line for line in printed.splitlines() if line.startswith(f"│ {phase} "))
        assert " s │" in row and "B │" in row
    assert "not in the download cache" not in printed


def test_a_step_is_the_engines_own(tiny: Rehearsal) -> None:
    report = doctor.try_step(tiny.few(2), "partial_unfreeze")
    assert report.samples == 4
    assert report.step_seconds > 0 and report.fill_seconds > 0
    assert report.loss > 0
    model = tiny.task.build_model(0)
    trained = [*model.freq_projection.parameters(), *model.fusion_gate.parameters(), *model.saliency_head.parameters()]
    trained += [p for block in model.clip.trunk.blocks[1:] for p in block.parameters()]
    assert report.trainable == sum(parameter.numel() for parameter in trained)
    assert report.peak_bytes > 4 * sum(parameter.numel() for parameter in model.parameters())


def test_nothing_is_left_behind(tiny: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    doctor.try_step(tiny.few(1), "warmup")
    assert list(tmp_path.iterdir()) == []


def test_full_counts_without_weights_or_memory(tiny: Rehearsal) -> None:
    config = validate(Config, {key: values("full")[key] for key in ("recipe", "warmup")}, "full")
    task = config.recipe.untrained().build(tiny.dataset.card)

    class OnMeta:
        """The same task on no storage."""

        parts = staticmethod(task.parts)

        @staticmethod
        def build_model(seed: int) -> torch.nn.Module:
            with torch.device("meta"):
                return task.build_model(seed)

    full = values("full")
    phases = {name: validate(Config, {"recipe": full["recipe"], "warmup": full[name]}, name).warmup for name in
              ("warmup", "partial_unfreeze", "end_to_end")}  # fmt: skip
    shown = Rehearsal(config.recipe, OnMeta(), [], phases, tiny.dataset, 0, tiny.runtime, tiny.cache)  # type: ignore[arg-type]
    rows = {row.name: row for row in doctor.part_rows(shown)}
    assert rows["freq_projection"].parameters == pytest.approx(1.6e6, rel=0.05)
    assert doctor.show_count(rows["vision.blocks.10-11"].parameters) == "14.2 M"
    assert set(rows["vision.blocks.10-11"].rates) == {"partial_unfreeze", "end_to_end"}
    assert set(rows["vision.blocks.0-9"].rates) == {"end_to_end"}
    assert rows["text"].rates == {} and rows["sam.trunk"].rates == {}


def test_missing_weights_are_named_and_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    sam = tmp_path / "sam.pth"
    found = values("full", f"recipe.model.sam.file={sam}")
    recipe = validate(Config, {"recipe": found["recipe"], "warmup": found["warmup"]}, "full").recipe
    hub, checkpoint = recipe.missing_weights()
    assert "not in the download cache" in hub and str(sam) in checkpoint
    model = recipe.untrained().model
    assert (model.clip.kind, model.sam.kind, model.sam.model) == ("untrained", "untrained", "vit_b")
    assert recipe.untrained().missing_weights() == []
    assert recipe.untrained().untrained() == recipe.untrained()
    sam.touch()
    assert len(recipe.missing_weights()) == 1


def test_bad_input_has_a_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "freqmedclip", "--size", "huge"]) == 2
    assert "remedy: choose one of" in capsys.readouterr().err
    assert main(["doctor", "freqmedclip", "--set", "recipe.data.synthetic.images=12", "--cases", "0"]) == 2
    assert "remedy: ask for one or more" in capsys.readouterr().err
    assert main(["doctor", "freqmedclip", "--set", "warmup.trainable={nothing: 0.1}"]) == 2
    assert "matches no part" in capsys.readouterr().err
