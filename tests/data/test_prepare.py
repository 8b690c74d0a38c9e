"""Preparing: the same cases give the same bytes, faults leave nothing behind, and later stages read it all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.core.data.card import CARD
from components.core.data.dataset import Dataset
from components.core.data.prepare import prepare
from components.core.data.quarantine import QuarantineLimits
from components.core.data.splits import Split
from components.core.errors import BadInput
from components.recipes.freqmedclip.data import FreqMedClipData, samples
from components.recipes.freqmedclip.synthetic import Synthetic

DATA = FreqMedClipData(synthetic=Synthetic(images=24, smallest=48, largest=64))
ONE = FreqMedClipData(prompts={1: "a lesion"})


def make(folder: Path, raw: Path | None = None, data: FreqMedClipData = DATA, **options: Any) -> Dataset:
    limits = QuarantineLimits(max_fraction=options.pop("max_fraction", 0.0))
    prepare(data, raw, options.pop("split", Split()), limits, folder, recipe="freqmedclip", **options)
    return Dataset.open(folder)


def write_pairs(raw: Path, count: int = 12) -> Path:
    random = np.random.default_rng(0)
    for folder in ("images", "masks"):
        (raw / folder).mkdir(parents=True)
    for row in range(count):
        Image.fromarray(random.integers(0, 256, (40, 50), dtype=np.uint8)).save(raw / f"images/{row:02d}.png")
        Image.fromarray((random.random((40, 50)) > 0.5).astype(np.uint8)).save(raw / f"masks/{row:02d}.png")
    return raw


def test_the_digest_covers_the_prompts(tmp_path: Path) -> None:
    """Otherwise a model could be judged on texts it was never asked, as if nothing had changed."""
    raw = write_pairs(tmp_path / "raw")
    first, again, other = (
        make(tmp_path / name, raw, FreqMedClipData(prompts={1: text}))
        for name, text in (("first", "a lesion"), ("again", "a lesion"), ("other", "a tumour"))
    )
    assert first.digest == again.digest
    assert first.card.shards == other.card.shards
    assert first.digest != other.digest


def test_synthetic_dataset(tmp_path: Path) -> None:
    dataset = make(tmp_path / "made")
    card = dataset.card
    assert card.synthetic and card.recipe == "freqmedclip" and card.groups.found == "given" and card.warnings == []
    assert card.groups.count == 12 and sum(card.groups.by_split.values()) == 12
    assert card.label_names == {str(value): text for value, text in DATA.prompts.items()}
    assert card.settings["data"]["synthetic"]["images"] == 24
    assert "SOURCE.txt" in card.sources.notices and card.sources.files == 48
    assert sum(sum(strata.values()) for strata in card.counts.values()) == 24
    assert dataset.splits == ["train", "val", "test"]
    for row in dataset.rows("test"):
        image, mask = dataset.array(row.id, "image"), dataset.array(row.id, "mask")
        assert image.shape == (row.attributes["height"], row.attributes["width"], 3)
        assert set(np.unique(mask)) == {0, 1, 2}
        assert dataset.names(row.id) == ["image", "mask"]
    dataset.verify()
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        CARD, "index.parquet", "shard-00000.safetensors",
    ]  # fmt: skip


def test_workers_and_order_change_nothing(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw")
    first = make(tmp_path / "a", raw, ONE, workers=0)
    reordered = ONE.model_copy()
    cases = ONE.read(raw)
    object.__setattr__(reordered, "read", lambda raw: cases[::-1])
    second = make(tmp_path / "b", raw, reordered, workers=3)
    assert first.digest == second.digest
    assert (tmp_path / "a" / CARD).read_bytes() == (tmp_path / "b" / CARD).read_bytes()


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw")
    before = make(tmp_path / "a", raw, ONE).digest
    assert make(tmp_path / "b", raw, ONE, split=Split(seed=1)).digest != before
    pixels = np.asarray(Image.open(raw / "images/00.png")).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(raw / "images/00.png")
    assert make(tmp_path / "c", raw, ONE).digest != before


def test_arrays_are_the_decoded_ones(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw")
    dataset = make(tmp_path / "a", raw, ONE)
    for case in ONE.read(raw):
        for name, array in case.load().items():
            assert np.array_equal(dataset.array(case.id, name), array)


def test_inferred_groups_keep_copies_together(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw", 20)
    for row in range(4, 8):  # copies under other names
        (raw / f"images/{row + 10:02d}.png").write_bytes((raw / f"images/{row:02d}.png").read_bytes())
    dataset = make(tmp_path / "a", raw, ONE)
    assert dataset.card.groups.found == "inferred" and dataset.card.groups.count == 16
    assert dataset.card.warnings == ["groups inferred, leakage between patients not excluded"]
    for row in range(4, 8):
        assert dataset.row(f"{row:02d}").split == dataset.row(f"{row + 10:02d}").split


def truncate(raw: Path) -> str:
    path = raw / "images/03.png"
    path.write_bytes(path.read_bytes()[:200])
    return r"1 of 12 cases cannot be read[\s\S]*images/03.png: is not a readable picture"


def poison(raw: Path) -> str:
    (raw / "images/03.png").unlink()
    Image.fromarray(np.full((40, 50), np.nan, np.float32)).save(raw / "images/03.tif")
    return "images/03.tif: has NaN or infinite pixels"


def resize(raw: Path) -> str:
    Image.new("L", (9, 9)).save(raw / "masks/03.png")
    return "the mask is 9 x 9 pixels"


def grade(raw: Path) -> str:
    Image.new("L", (50, 40), 77).save(raw / "masks/03.png")
    return "values without a meaning: 77"


def repeat(raw: Path) -> str:
    rows = "\n".join(f"case,images/{row:02d}.png,masks/{row:02d}.png" for row in range(12))
    (raw / "index.csv").write_text("id,image,mask\n" + rows)
    return "two cases have the id 'case'"


def thin_out(raw: Path) -> str:
    for path in [*raw.glob("images/*.png"), *raw.glob("masks/*.png")]:
        if int(path.stem) > 1:
            path.unlink()
    return "2 groups cannot fill 3 splits"


@pytest.mark.parametrize("fault", [truncate, poison, resize, grade, repeat, thin_out])
@pytest.mark.parametrize("workers", [0, 2])
def test_faults_leave_nothing(tmp_path: Path, fault: Callable[[Path], str], workers: int) -> None:
    raw = write_pairs(tmp_path / "raw")
    message = fault(raw)
    with pytest.raises(BadInput, match=message) as caught:
        make(tmp_path / "made", raw, ONE, workers=workers)
    assert caught.value.remedy and caught.value.where and caught.value.exit_code == 2
    assert not (tmp_path / "made").exists()


def test_all_unreadable_files_are_listed(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw")
    for row in (2, 5, 9):
        (raw / f"images/{row:02d}.png").write_bytes(b"")
    with pytest.raises(BadInput, match="3 of 12") as caught:
        make(tmp_path / "made", raw, ONE, max_fraction=0.2)
    assert all(f"images/{row:02d}.png" in caught.value.what for row in (2, 5, 9))
    dataset = make(tmp_path / "made", raw, ONE, max_fraction=0.25)
    assert [(entry.id, entry.file) for entry in dataset.card.quarantine] == [
        (f"{row:02d}", f"images/{row:02d}.png") for row in (2, 5, 9)
    ]
    assert sum(len(dataset.rows(split)) for split in dataset.splits) == 9


def test_a_full_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        make(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("name", [CARD, "index.parquet", "shard-00000.safetensors"])
def test_damage_is_found(tmp_path: Path, name: str) -> None:
    make(tmp_path / "made")
    path = tmp_path / "made" / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(BadInput):
        Dataset.open(tmp_path / "made")
    path.unlink()
    with pytest.raises(BadInput):
        Dataset.open(tmp_path / "made")


def test_a_damaged_byte_is_found(tmp_path: Path) -> None:
    make(tmp_path / "made")
    path = tmp_path / "made/shard-00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 255
    path.write_bytes(content)
    dataset = Dataset.open(tmp_path / "made")
    with pytest.raises(BadInput, match="damaged"):
        dataset.verify()
    with pytest.raises(BadInput, match="damaged bytes"):
        for split in dataset.splits:
            for row in dataset.rows(split):
                dataset.array(row.id, "image"), dataset.array(row.id, "mask")


def test_another_schema_version(tmp_path: Path) -> None:
    make(tmp_path / "made")
    path = tmp_path / "made" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    with pytest.raises(BadInput, match="schema version 99"):
        Dataset.open(tmp_path / "made")


def test_samples_ask_for_one_target_each(tmp_path: Path) -> None:
    dataset = make(tmp_path / "made")
    train, val = dataset.rows("train"), dataset.rows("val")
    asked = samples(train, DATA.prompts)
    assert [(item.case_id, item.value) for item in asked] == [(row.id, value) for row in train for value in (1, 2)]
    assert asked[0].id == f"{train[0].id}#1" and asked[0].prompt == DATA.prompts[1]
    assert asked[0].caption == f"{DATA.prompts[1]}, in {train[0].stratum} tissue"
    assert {item.caption for item in samples(val, DATA.prompts)} == {""}
    assert [item.id for item in samples(val, {1: "x"})] == [row.id for row in val]


def test_nothing_of_this_machine_is_written(tmp_path: Path) -> None:
    raw = write_pairs(tmp_path / "raw")
    (raw / "images/02.png").write_bytes(b"")
    make(tmp_path / "made", raw, ONE, max_fraction=0.5)
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in (tmp_path / "made").iterdir())
