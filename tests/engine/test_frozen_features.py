"""Nothing frozen is computed twice, and what is kept equals what would be computed."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from components.core.engine import cache as cache_module
from components.core.engine import features as features_module
from components.core.engine.cache import INDEX, FeatureCache
from components.core.engine.device import Device
from components.core.engine.features import FrozenFeatures, Views
from components.core.engine.groups import owners
from components.core.engine.order import Curriculum
from components.core.runtime import Cache, Runtime
from tests.engine.toy import ToyModel, ToyTask

LOSSES = {"mse": 1.0}
FROZEN = frozenset({"stem", "text"})


def features(
    task: ToyTask, folder: Path | None, views: Views | None, model: ToyModel | None = None, **settings: float | str
) -> FrozenFeatures:
    model = model or task.build_model(0)
    model.eval()
    examples = task.examples(None, "train")
    cache = FeatureCache(Cache(dir=folder, **settings)) if folder else None
    owned = owners(model, task.parts(model))
    prefixes = task.prefixes(model, examples, FROZEN, LOSSES)
    return FrozenFeatures(model, owned, prefixes, examples, views, cache, Device(Runtime(device="cpu")))


PLAN = Curriculum(seed=0, sources=range(23), window=4, views=3)


def everything(task: ToyTask, found: FrozenFeatures) -> dict[str, torch.Tensor]:
    """Features of three epochs, row by row in order."""
    examples = task.examples(None, "train")
    collected: dict[str, list[torch.Tensor]] = {}
    for epoch in range(3):
        rows = list(range(23))
        numbers = PLAN.numbers(rows, epoch)
        kept = PLAN.kept()
        assert kept is not None
        keys = [kept.keys[kept.position(row, view)] for row, view in zip(rows, numbers, strict=True)]
        batch = examples.load(rows, keys, found.fields)
        for name, value in found.of(batch, numbers).items():
            collected.setdefault(name, []).append(value)
    return {name: torch.cat(values) for name, values in collected.items()}


def test_kept_features_equal_computed_ones_for_every_sample_and_view(tmp_path: Path) -> None:
    task = ToyTask()
    kept = everything(task, features(task, tmp_path, PLAN.kept()))
    computed = everything(task, features(task, None, PLAN.kept()))
    assert kept.keys() == computed.keys() == {"stem", "text"}
    for name, value in computed.items():
        assert torch.allclose(kept[name], value, rtol=1e-5, atol=1e-7), name


def test_every_sample_and_view_is_computed_once_and_texts_once_per_table(tmp_path: Path) -> None:
    task = ToyTask()
    everything(task, features(task, tmp_path, PLAN.kept()))
    assert task.stem_samples == 23 * 3
    assert task.text_rows == 3
    everything(task, features(task, tmp_path, PLAN.kept()))
    assert (task.stem_samples, task.text_rows) == (69, 3), "a second run reads"


def test_without_a_cache_both_towers_are_evaluated_for_every_sample() -> None:
    task = ToyTask()
    everything(task, features(task, None, PLAN.kept()))
    assert (task.stem_samples, task.text_rows) == (69, 69)


def test_other_frozen_weights_are_other_features(tmp_path: Path) -> None:
    task = ToyTask()
    everything(task, features(task, tmp_path, PLAN.kept()))
    model = task.build_model(0)
    with torch.no_grad():
        model.stem[0].weight[0, 0] += 1e-3
    changed = everything(task, features(task, tmp_path, PLAN.kept(), model))
    assert task.stem_samples == 2 * 69
    assert task.text_rows == 3, "the text tower did not change"
    computed = everything(task, features(task, None, PLAN.kept(), model))
    assert torch.allclose(changed["stem"], computed["stem"], atol=1e-6)


def test_other_code_is_other_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it changed: how a picture is decoded, augmented or normalised leaves no other trace in the key."""
    task = ToyTask()
    features(task, tmp_path, PLAN.kept())
    monkeypatch.setattr(features_module, "digest_code", lambda: "other")
    features(task, tmp_path, PLAN.kept())
    assert task.stem_samples == 2 * 69


def test_other_trainable_weights_are_the_same_features(tmp_path: Path) -> None:
    task = ToyTask()
    everything(task, features(task, tmp_path, PLAN.kept()))
    model = task.build_model(0)
    with torch.no_grad():
        model.head.weight.zero_()
    everything(task, features(task, tmp_path, PLAN.kept(), model))
    assert task.stem_samples == 69


def test_a_damaged_chunk_is_computed_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    task = ToyTask()
    good = everything(task, features(task, tmp_path, PLAN.kept()))
    chunk = max(tmp_path.glob("*/chunk-*.safetensors"), key=lambda file: file.stat().st_size)
    data = bytearray(chunk.read_bytes())
    data[-3] ^= 1
    chunk.write_bytes(data)
    again = everything(task, features(task, tmp_path, PLAN.kept()))
    assert "damaged" in caplog.text
    for name, value in good.items():
        assert torch.equal(again[name], value)


def test_an_interrupted_filling_continues_where_it_was(tmp_path: Path) -> None:
    task = ToyTask()
    good = everything(task, features(task, tmp_path, PLAN.kept()))
    folder = max(tmp_path.glob("*/"), key=lambda path: len(list(path.glob("chunk*"))))
    (folder / INDEX).unlink()
    (folder / "chunk-00001.safetensors").unlink()
    before = task.stem_samples
    again = everything(task, features(task, tmp_path, PLAN.kept()))
    assert task.stem_samples - before == 69 - 64, "only the missing chunk"
    assert torch.equal(again["stem"], good["stem"])


def test_features_that_do_not_fit_are_computed_in_the_step_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    task = ToyTask()
    found = features(task, tmp_path, PLAN.kept(), max_gb=100e-9)
    assert "computing them in every step" in caplog.text
    assert "x" in found.fields, "the step must load what the prefix reads"
    everything(task, found)
    assert task.text_rows == 3, "the small table still fits"


def test_the_least_recently_used_key_makes_room(tmp_path: Path) -> None:
    task = ToyTask()
    limit = 69 * 6 * 4 * 1.5e-9
    features(task, tmp_path, PLAN.kept(), max_gb=limit)
    model = task.build_model(1)
    features(task, tmp_path, PLAN.kept(), model, max_gb=limit)
    notes = [entry.note for entry in FeatureCache(Cache(dir=tmp_path)).entries()]
    assert sum(note.startswith("stem") for note in notes) == 1
    total = sum(entry.bytes for entry in FeatureCache(Cache(dir=tmp_path)).entries())
    assert FeatureCache(Cache(dir=tmp_path)).prune() == total


def test_half_precision_storage_is_another_key_and_close(tmp_path: Path) -> None:
    task = ToyTask()
    exact = everything(task, features(task, tmp_path, PLAN.kept()))
    rounded = everything(task, features(task, tmp_path, PLAN.kept(), dtype="bfloat16"))
    assert not torch.equal(exact["stem"], rounded["stem"])
    assert torch.allclose(exact["stem"], rounded["stem"], atol=1e-2)


def test_the_index_names_what_is_kept(tmp_path: Path) -> None:
    task = ToyTask()
    features(task, tmp_path, PLAN.kept())
    notes = {json.loads(file.read_text())["note"] for file in tmp_path.glob(f"*/{INDEX}")}
    assert notes == {"stem (69 rows, fp32)", "text (3 rows, fp32)"}


def ones(start: int, stop: int) -> torch.Tensor:
    return torch.arange(start, stop).float()[:, None].expand(-1, 64).contiguous()


def test_what_a_run_has_opened_is_not_evicted_by_what_it_opens_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its large keys are read from their files in every step, the ones not read yet included."""
    monkeypatch.setattr(cache_module, "IN_MEMORY_BYTES", 0)
    cache = FeatureCache(Cache(dir=tmp_path, max_gb=100 * 64 * 4 * 1.5e-9))
    train = cache.open("train", "train", 100, 8, ones)
    assert cache.open("val", "val", 100, 8, ones) is None
    assert "in use" in caplog.text
    assert train is not None
    assert torch.equal(train.read([99, 0])[:, 0], torch.tensor([99.0, 0.0]))


def test_features_in_use_survive_another_process_that_evicts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "IN_MEMORY_BYTES", 0)
    bank = FeatureCache(Cache(dir=tmp_path)).open("train", "train", 100, 8, ones)
    assert FeatureCache(Cache(dir=tmp_path)).prune() > 0
    assert bank is not None
    assert torch.equal(bank.read([99, 0])[:, 0], torch.tensor([99.0, 0.0]))


@pytest.mark.parametrize("left", [b"", b"{", b"[]"])
def test_a_damaged_index_is_made_again(tmp_path: Path, left: bytes, caplog: pytest.LogCaptureFixture) -> None:
    FeatureCache(Cache(dir=tmp_path)).open("key", "note", 10, 8, ones)
    (tmp_path / "key" / INDEX).write_bytes(left)
    assert [entry.note for entry in FeatureCache(Cache(dir=tmp_path)).entries()] == ["unfinished"]
    again = FeatureCache(Cache(dir=tmp_path))
    assert again.open("key", "note", 10, 8, ones) is not None
    assert "damaged" in caplog.text
    assert (again.hits, again.misses) == (0, 10)


def test_hits_and_misses_both_count_rows(tmp_path: Path) -> None:
    first, second = FeatureCache(Cache(dir=tmp_path)), FeatureCache(Cache(dir=tmp_path))
    first.open("key", "note", 10, 8, ones)
    second.open("key", "note", 10, 8, ones)
    assert (first.hits, first.misses) == (0, 10)
    assert (second.hits, second.misses) == (10, 0)


def test_what_is_not_worth_keeping_is_computed_from_the_batch(tmp_path: Path) -> None:
    task = ToyTask()
    model, examples = task.build_model(0).eval(), task.examples(None, "train")
    prefixes = [replace(prefix, kept=False) for prefix in task.prefixes(model, examples, FROZEN, LOSSES)]
    cache, views = FeatureCache(Cache(dir=tmp_path)), PLAN.kept()
    owned = owners(model, task.parts(model))
    found = FrozenFeatures(model, owned, prefixes, examples, views, cache, Device(Runtime(device="cpu")))
    assert found.nbytes == 0 and cache.misses == 0
    assert found.fields == {"x", "word"}
    expected = everything(task, features(task, None, PLAN.kept()))
    for name, value in everything(task, found).items():
        assert torch.equal(value, expected[name]), name
