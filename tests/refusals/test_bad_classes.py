"""Class folders and tables of labels that cannot be used, and values of hvit that mean nothing."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.cli import main
from tests.refusals.conftest import Refuse, picture

HEAD = "image,label"


def folders(raw: Path, **classes: int) -> Path:
    """So many pictures of noise per class folder."""
    for place, (name, count) in enumerate(classes.items()):
        (raw / name).mkdir(parents=True)
        for number in range(count):
            picture(raw / name / f"{number}.png", 100 * place + number)
    return raw


def table(raw: Path, head: str, *rows: str) -> Path:
    """Twelve pictures in two folders that are no classes, a table of them, and further rows."""
    for number in range(12):
        picture(raw / f"day{number % 2}/{number}.png", number)
    listed = [f"day{number % 2}/{number}.png,{'rust' if number < 6 else 'blight'}" for number in range(12)]
    (raw / "labels.csv").write_text("\n".join([head, *listed, *rows]) + "\n", encoding="utf-8")
    return raw


def no_layout(raw: Path) -> list[str]:
    raw.mkdir()
    (raw / "letter.txt").write_text("no picture")
    return ["one folder per class", "image and label"]


def one_class(raw: Path) -> list[str]:
    folders(raw, rust=12)
    return ["one class, 'rust'", "two classes"]


def empty_class(raw: Path) -> list[str]:
    folders(raw, rust=6, blight=6, healthy=0)
    return [str(raw / "healthy"), "fill it or remove it"]


def class_of_one(raw: Path) -> list[str]:
    folders(raw, rust=8, blight=8, healthy=1)
    return ["'healthy' is absent from", "merge or drop the class"]


def unreadable(raw: Path) -> list[str]:
    (folders(raw, rust=8, blight=8) / "rust/3.png").write_bytes(b"no picture")
    return ["rust/3.png", "quarantine.max_fraction"]


def listed_twice(raw: Path) -> list[str]:
    table(raw, HEAD, "day1/3.png,blight")
    return ["'day1/3' is listed twice", str(raw / "day1/3.png"), "with one label"]


def one_id_for_two(raw: Path) -> list[str]:
    table(raw, HEAD)
    picture(raw / "day1/3.bmp", 99)
    with (raw / "labels.csv").open("a", encoding="utf-8") as stream:
        stream.write("day1/3.bmp,rust\n")
    return ["two cases have the id 'day1/3'", "3.bmp", "unique ids"]


def absent_picture(raw: Path) -> list[str]:
    table(raw, HEAD, "day1/99.png,rust")
    return ["'day1/99.png' does not exist", "labels.csv:14"]


def outside(raw: Path) -> list[str]:
    picture(raw.parent / "other.png", 99)
    table(raw, HEAD, "../other.png,rust")
    return ["'../other.png' lies outside", "labels.csv:14"]


def no_label_column(raw: Path) -> list[str]:
    """The folders of the pictures must not be taken for classes because the table was not understood."""
    table(raw, "image,klass")
    return ["no column 'label'", "labels.csv", "recipe.data.layout=folders"]


def no_image_column(raw: Path) -> list[str]:
    table(raw, "file,label")
    return ["no column 'image'", "labels.csv", "it has file, label"]


FAULTS = [
    no_layout, one_class, empty_class, class_of_one, unreadable, listed_twice, one_id_for_two, absent_picture,
    outside, no_label_column, no_image_column,
]  # fmt: skip


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_a_folder_of_classes(spoil: Callable[[Path], list[str]], refuse: Refuse, tmp_path: Path) -> None:
    expected = spoil(tmp_path / "raw")
    found = refuse("prepare", "hvit", "--raw", tmp_path / "raw", "--dataset", tmp_path / "out" / "dataset")
    assert [part for part in expected if part not in found.text] == []


def test_a_table_beside_class_folders_may_be_passed_over_by_name(tmp_path: Path) -> None:
    raw = table(tmp_path / "raw", "image,klass")
    options = ["--set", "recipe.data.layout=folders", "--raw", str(raw), "--dataset", str(tmp_path / "dataset")]
    assert main(["prepare", "hvit", *options]) == 0


def test_an_index_of_the_class_folders_is_no_fault(tmp_path: Path) -> None:
    raw = folders(tmp_path / "raw", rust=8, blight=8)
    rows = [f"{name}/{number}.png,{name},x" for name in ("rust", "blight") for number in range(8)]
    (raw / "index.csv").write_text("\n".join(["path,label,md5", *rows]) + "\n", encoding="utf-8")
    options = ["--raw", str(raw), "--dataset", str(tmp_path / "dataset")]
    assert main(["prepare", "hvit", *options]) == 0
    card = json.loads((tmp_path / "dataset" / "card.json").read_text(encoding="utf-8"))
    assert list(card["label_names"].values()) == ["blight", "rust"]


def test_names_of_classes_are_free(tmp_path: Path) -> None:
    raw = folders(tmp_path / "raw", **{"tache brune": 8, "élancé": 8, "日本 語": 8})
    assert main(["prepare", "hvit", "--raw", str(raw), "--dataset", str(tmp_path / "dataset")]) == 0


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("leaves") / "dataset"
    assert main(["prepare", "hvit", "--dataset", str(folder)]) == 0
    return folder


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("recipe.model.second_stream.kind=none", ["use_dfca is true but second_stream is none"]),
        (
            "recipe.model.backbone.name=resnet10x",
            ["no model 'resnet10x'", "at: recipe.model.backbone.name", "resnet10t"],
        ),
        ("recipe.model.backbone.name=hvit_huge", ["no model 'hvit_huge'", "hvit_base"]),
        ("recipe.model.backbone.nam=resnet10t", ["recipe.model.backbone.nam", "'name'"]),
        ("recipe.model.use_dfac=false", ["recipe.model.use_dfac", "'use_dfca'"]),
        ("recipe.model.image_size=31", ["31x31", "multiple of 32"]),
        ("recipe.augment.level=wild", ["recipe.augment.level", "'moderate'"]),
        ("recipe.labels.fraction=0", ["recipe.labels.fraction"]),
        ("warmup.mix.mixup=-1", ["warmup.mix.mixup"]),
        ("warmup.mix.where=pixels", ["mix.where: features"]),
        ("warmup.trainable.backbon=1e-3", ["'backbon'", "backbone"]),
        ("warmup.losses.focl=1.0", ["'focl'", "'focal'"]),
    ],
)
def test_a_value_that_means_nothing(
    setting: str, expected: list[str], dataset: Path, refuse: Refuse, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outputs = ["--model", out / "model", "--metrics", out / "metrics.json"]
    found = refuse("warmup", "hvit", "--dataset", dataset, *outputs, "--set", setting)
    assert [part for part in expected if part not in found.text] == []


def test_a_preset_that_is_not_there(dataset: Path, refuse: Refuse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs = ["--model", out / "model", "--metrics", out / "metrics.json"]
    found = refuse("warmup", "hvit", "--dataset", dataset, *outputs, "--preset", "huge")
    assert "'huge'" in found.text and "medium" in found.text


def test_one_picture_has_no_other_to_tell_from(dataset: Path, refuse: Refuse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    outputs = ["--encoder", out / "encoder", "--metrics", out / "metrics.json"]
    found = refuse("pretrain", "hvit", "--dataset", dataset, *outputs, "--set", "pretrain.batch_size=1")
    assert "pretrain.batch_size = 1" in found.text
