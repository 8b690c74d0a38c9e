"""Values that mean nothing are refused before anything runs, by file and key."""

from pathlib import Path

import pytest

from components.cli.values import PARAMS
from tests.refusals.conftest import Refuse

OWN = PARAMS / "freqmedclip.yaml"


def training(tmp_path: Path, dataset: Path, *options: object) -> list[object]:
    out = tmp_path / "out"
    return [
        "warmup", "freqmedclip", "--dataset", dataset,
        "--model", out / "model", "--metrics", out / "metrics.json", *options,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("seed: 0\n", "sede: 0\n", ["'sede'"]),
        (
            "epochs: 2\n    batch_size: 8\n    trainable: {freq",
            "epohcs: 2\n    trainable: {freq",
            ["epohcs", "'epochs'"],
        ),
        ("ema: {decay: 0.9}", "ema: {decay: 1.9}", ["warmup.ema.decay", "1.9"]),
        ("schedule: constant", "schedule: sometimes", ["warmup.schedule", "sometimes"]),
        ("{kind: tiny, width: 32, depth: 3", "{kind: tiny, with: 32, depth: 3", ["with", "'width'"]),
        ("name: freqmedclip", "name: freqmedclap", ["freqmedclap", "recipe.name"]),
    ],
    ids=["section", "key", "range", "choice", "nested key", "name"],
)
def test_a_wrong_key_or_value_in_a_file(
    before: str, after: str, expected: list[str], prepared: Path, refuse: Refuse, tmp_path: Path
) -> None:
    text = OWN.read_text(encoding="utf-8")
    assert before in text
    file = tmp_path / "mine.yaml"
    file.write_text(text.replace(before, after, 1))
    found = refuse(*training(tmp_path, prepared, "--params", file, "--size", "tiny"))
    assert str(file) in found.text
    assert [part for part in expected if part not in found.text] == []


@pytest.mark.parametrize("text", ["a: [1, 2", "just words", "- a\n- b\n", "\x00"])
def test_a_file_that_is_no_params_file(text: str, prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert str(file) in refuse(*training(tmp_path, prepared, "--params", file)).text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("recipe.model.imag_size=64", "recipe.model.imag_size = 64: unknown key; did you mean 'image_size'?"),
        ("recipe.model.clip.depth=0", "recipe.model.clip.depth = 0: "),
        ("warmup.ema.decay=2", "warmup.ema.decay = 2: "),
        ("recipe.model.clip={kind: huge}", "recipe.model.clip = {"),
    ],
)
def test_a_wrong_key_is_spelt_as_files_spell_it(
    override: str, expected: str, prepared: Path, refuse: Refuse, tmp_path: Path
) -> None:
    """Not with the names of the unions' members, which stand in no file."""
    found = refuse(*training(tmp_path, prepared, "--set", override))
    assert f"    {expected}" in found.text


def test_names_that_are_not_there(prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    found = refuse(*training(tmp_path, prepared, "--size", "small"))
    assert "'small'" in found.text and "tiny" in found.text and OWN.name in found.text
    found = refuse("run", "freqmedklip", "--out", tmp_path / "out")
    assert "'freqmedklip'" in found.text and "freqmedclip" in found.text
    found = refuse(*training(tmp_path, prepared, "--params", tmp_path / "absent.yaml"))
    assert "absent.yaml" in found.text


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("warmup.epoch=3", ["warmup.epoch", "'epochs'"]),
        ("warmup.epochs", ["warmup.epochs", "--set dotted.key=value"]),
        ("warmup.epochs=many", ["warmup.epochs", "'many'"]),
        ("warmup.epochs=[1", ["warmup.epochs"]),
        ("warmup=3", ["warmup"]),
        ("recipe.name=other", ["'other'"]),
        ("runtime.divice=cpu", ["runtime.divice", "'device'"]),
        ("warmup.trainable.fusion_gat=1e-3", ["'fusion_gat'", "fusion_gate"]),
        ("warmup.losses.hing=1.0", ["'hing'", "'hinge'"]),
        ("warmup.losses.contrastive=-1", ["contrastive"]),
        ("warmup.trainable.text=1e-3", ["text"]),
        ("warmup.precision=fp16", ["fp16"]),
        ("runtime.checkpoints.store=ftp://host/x", ["'ftp'"]),
    ],
)
def test_an_option_that_means_nothing(
    setting: str, expected: list[str], prepared: Path, refuse: Refuse, tmp_path: Path
) -> None:
    found = refuse(*training(tmp_path, prepared, "--set", setting))
    assert [part for part in expected if part not in found.text] == []


def test_values_of_another_recipe(prepared: Path, refuse: Refuse, tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text("recipe: {name: other}\n")
    found = refuse(*training(tmp_path, prepared, "--params", file))
    assert "'other'" in found.text and str(file) in found.text
    assert "--values" in refuse(*training(tmp_path, prepared, "--values", '{"recipe": ')).text


def test_a_contrastive_loss_with_one_caption(raw: Path, refuse: Refuse, tmp_path: Path) -> None:
    from pipelines.cli import main

    dataset = tmp_path / "dataset"
    assert main(["prepare", "freqmedclip", "--raw", str(raw), "--dataset", str(dataset)]) == 0
    found = refuse(*training(tmp_path, dataset, "--set", "warmup.losses.contrastive=1.0"))
    assert "two distinct captions" in found.text and "losses.contrastive" in found.text
