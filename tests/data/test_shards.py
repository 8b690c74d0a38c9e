"""Shards: what is written is read in place, and damage is found."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import load_file

from components.core.data.shards import ShardEntry, ShardReader, ShardWriter
from components.core.errors import BadInput


def write(
    folder: Path, cases: dict[str, dict[str, np.ndarray]], **sizes: int
) -> tuple[dict[str, str], list[ShardEntry]]:
    writer = ShardWriter(folder, **sizes)
    names = {case: writer.add(case, held) for case, held in cases.items()}
    return names, writer.close()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["u1", "?", "i2", "f4", "f8"]).flatmap(
    lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
), min_size=1, max_size=5))  # fmt: skip
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, stored: list[np.ndarray]) -> None:
    folder = tmp_path_factory.mktemp("shards")
    _, (entry,) = write(folder, {f"a/{row}": {"x": array} for row, array in enumerate(stored)})
    reader = ShardReader(folder / entry.name, entry)
    official = load_file(folder / entry.name)
    for row, array in enumerate(stored):
        read = reader.array(f"a/{row}", "x")
        assert read.dtype == array.dtype and read.shape == array.shape
        assert read.tobytes() == array.tobytes() == official[f"a/{row}/x"].tobytes()


def test_views_share_the_mapping_and_cannot_be_written(tmp_path: Path) -> None:
    _, (entry,) = write(tmp_path, {"case": {"x": np.arange(12).reshape(3, 4), "y": np.zeros(2, np.uint8)}})
    reader = ShardReader(tmp_path / entry.name, entry)
    one, other = reader.array("case", "x"), reader.array("case", "x")
    assert np.shares_memory(one, other) and not one.flags.owndata and not one.flags.writeable
    assert reader.names("case") == ["x", "y"]
    with pytest.raises(KeyError):
        reader.array("case", "z")


def test_sizes_of_shards(tmp_path: Path) -> None:
    cases = {f"{row}": {"x": np.full(size, row, np.uint8)} for row, size in enumerate([60, 50, 90, 90, 700, 10])}
    names, entries = write(tmp_path, cases, full=100, limit=170)
    assert [name[6:11] for name in names.values()] == ["00000", "00000", "00001", "00002", "00003", "00004"]
    readers = {entry.name: ShardReader(tmp_path / entry.name, entry) for entry in entries}
    assert all((readers[names[case]].array(case, "x") == int(case)).all() for case in cases)
    assert list(tmp_path.glob("*.unfinished")) == []


def test_equal_arrays_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    cases = {f"case{row}": {"x": np.arange(row), "m": np.zeros((row, 2), np.uint8)} for row in range(9)}
    assert write(tmp_path / "a", cases) == write(tmp_path / "b", cases)


def test_what_a_shard_cannot_hold(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path)
    with pytest.raises(ValueError, match="cannot hold"):
        writer.add("case", {"x": np.array([None])})
    with pytest.raises(ValueError, match="cannot hold"):
        writer.add("case", {"x/y": np.zeros(1)})


def test_a_damaged_byte_is_found_where_it_is(tmp_path: Path) -> None:
    _, (entry,) = write(tmp_path, {"a": {"x": np.zeros(1000, np.uint8)}, "b": {"x": np.ones(1000, np.uint8)}})
    path = tmp_path / entry.name
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    reader = ShardReader(path, entry)
    assert not reader.array("a", "x").any()
    with pytest.raises(BadInput, match="damaged bytes in 'b/x'"):
        reader.array("b", "x")


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:8] + b" " + content[9:],
        lambda content: struct.pack("<Q", 2**60) + content[8:],
    ],
)
def test_other_damage_is_found_when_opened(tmp_path: Path, damage: object) -> None:
    _, (entry,) = write(tmp_path, {"a": {"x": np.zeros(1000, np.uint8)}})
    path = tmp_path / entry.name
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(BadInput, match="the shard"):
        ShardReader(path, entry)


def test_the_header_says_what_it_promises(tmp_path: Path) -> None:
    _, (entry,) = write(tmp_path, {"a": {"x": np.arange(5, dtype=np.uint8)}})
    content = (tmp_path / entry.name).read_bytes()
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    assert json.loads(header["__metadata__"]["crc32"]) == {"a/x": zlib.crc32(bytes(range(5)))}
