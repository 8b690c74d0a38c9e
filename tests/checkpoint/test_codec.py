"""Tensors and documents to bytes and back; pickle is refused."""

import io
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.checkpoint.arrays import decode_arrays, encode_arrays
from components.core.checkpoint.codec import decode_tensors, encode_tensors, snapshot
from components.core.checkpoint.document import decode_document, encode_document
from components.core.checkpoint.foreign import refuse_foreign_file
from components.core.errors import BadInput

TYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.uint8, torch.bool]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_tensors_come_back_bit_for_bit(dtype: torch.dtype) -> None:
    given = {
        "a": torch.arange(12).reshape(3, 4).to(dtype),
        "scalar": torch.tensor(1).to(dtype),
        "none": torch.zeros(0, 3),
    }
    back = decode_tensors(encode_tensors(given), "here")
    assert back.keys() == given.keys()
    for name, tensor in given.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_bytes_depend_on_values_alone() -> None:
    a, b = torch.randn(3, generator=torch.Generator().manual_seed(1)), torch.arange(3)
    assert encode_tensors({"a": a, "b": b}) == encode_tensors({"b": b.clone(), "a": a.clone()})
    assert encode_tensors({"a": a, "b": b}) != encode_tensors({"a": a, "b": b + 1})


def test_shared_and_strided_tensors() -> None:
    base = torch.arange(12.0).reshape(3, 4)
    given = {
        "whole": base,
        "tied": base,
        "row": base[1],
        "transposed": base.T,
        "needs_grad": base.clone().requires_grad_(),
    }
    back = decode_tensors(encode_tensors(given), "here")
    assert all(torch.equal(back[name], given[name]) for name in given)


def test_nan_keeps_its_bits() -> None:
    bits = torch.tensor([0x7FC00001, -4194303, 0x7F800000], dtype=torch.int32)
    back = decode_tensors(encode_tensors({"x": bits.view(torch.float32)}), "here")["x"]
    assert torch.equal(back.view(torch.int32), bits)


def test_a_snapshot_does_not_follow_its_source() -> None:
    source = torch.zeros(3)
    taken = snapshot({"x": source, "y": source[1:]})
    source += 1
    assert torch.equal(taken["x"], torch.zeros(3))
    assert torch.equal(taken["y"], torch.zeros(2))


@pytest.mark.parametrize("value", [[1, 2], "text", 3, np.zeros(3), torch.eye(3).to_sparse(), None])
def test_only_tensors_are_stored(value: object) -> None:
    with pytest.raises(BadInput, match="only dense tensors") as caught:
        encode_tensors({"fine": torch.zeros(1), "wrong": value})  # type: ignore[dict-item]
    assert caught.value.where == "wrong"


def legacy_checkpoint(zipped: bool) -> bytes:
    stream = io.BytesIO()
    torch.save({"w": torch.zeros(2)}, stream, _use_new_zipfile_serialization=zipped)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [*(pickle.dumps({"a": [1]}, protocol) for protocol in range(6)), legacy_checkpoint(True), legacy_checkpoint(False)],
)
def test_pickle_is_refused_by_its_first_bytes(data: bytes, tmp_path: Path) -> None:
    for decode in (decode_tensors, decode_arrays):
        with pytest.raises(BadInput, match="not a checkpoint of Thaw") as caught:
            decode(data, "here")
        assert "thaw import" in caught.value.remedy
    disguised = tmp_path / "weights.safetensors"
    disguised.write_bytes(data)
    with pytest.raises(BadInput, match="thaw import"):
        refuse_foreign_file(disguised)


@pytest.mark.parametrize("name", ["sam.pth", "model.PT", "x.ckpt", "x.pkl", "x.npz"])
def test_pickle_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(64))
    with pytest.raises(BadInput, match="thaw import"):
        refuse_foreign_file(tmp_path / name)


@pytest.mark.parametrize("start", [b"\x80\x02", b"\x80\x03", b"\x80\x04", b"(\x01"])
def test_headers_that_look_like_pickle_are_read(start: bytes) -> None:
    """The first bytes of safetensors are the header's length, which may look like anything."""
    length = int.from_bytes(start, "little")
    bare = len(encode_tensors({"": torch.ones(1)})) - 8 - 4  # the header is padded to a multiple of 8
    name = "x" * (length - bare)
    data = encode_tensors({name: torch.ones(1)})
    assert data[:2] == start
    assert torch.equal(decode_tensors(data, "here")[name], torch.ones(1))


@pytest.mark.parametrize("cut", [0, 4, 30, -1])
def test_truncated_files_are_refused(cut: int) -> None:
    with pytest.raises(BadInput, match="not a whole safetensors file"):
        decode_tensors(encode_tensors({"x": torch.arange(9)})[:cut], "here")


def test_arrays_and_tensors_share_the_format() -> None:
    given = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1], "flag": np.array([True, False])}
    data = encode_arrays(given)
    assert all(np.array_equal(decode_arrays(data, "here")[name], given[name]) for name in given)
    assert all(np.array_equal(decode_tensors(data, "here")[name].numpy(), given[name]) for name in given)


@pytest.mark.parametrize("value", [np.array([{}]), np.array(["a"]), [1.0]])
def test_object_arrays_are_refused(value: object) -> None:
    with pytest.raises(BadInput, match="only arrays of numbers"):
        encode_arrays({"x": value})  # type: ignore[dict-item]


def test_bfloat16_is_nothing_for_numpy() -> None:
    with pytest.raises(BadInput, match="NumPy"):
        decode_arrays(encode_tensors({"x": torch.zeros(2, dtype=torch.bfloat16)}), "here")


def test_documents_come_back_exactly() -> None:
    values = {
        "floats": [0.1, 1e-320, -0.0, math.pi, math.inf, -math.inf],
        "big": 2**200,
        "nested": {"a": [None, True, "é\u2028"], "tuple": (1, 2)},
        "numpy": [np.float32(0.1), np.int64(3), np.bool_(True)],
    }
    back = decode_document(encode_document(values), "here")
    assert back["floats"] == values["floats"]
    assert math.copysign(1, back["floats"][2]) == -1
    assert back["big"] == 2**200
    assert back["nested"] == {"a": [None, True, "é\u2028"], "tuple": [1, 2]}
    assert back["numpy"] == [float(np.float32(0.1)), 3, True]
    assert math.isnan(decode_document(encode_document({"x": math.nan}), "here")["x"])
    assert b"NaN" not in encode_document({"x": math.nan})


@pytest.mark.parametrize("value", [torch.zeros(1), b"bytes", {1: 2}, {1, 2}, object()])
def test_documents_hold_plain_values_only(value: object) -> None:
    with pytest.raises(BadInput, match="cannot be written as JSON") as caught:
        encode_document({"a": [{"b": value}]})
    assert caught.value.where == "meta.a[0].b"


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b'{"x": NaN}', b"\xff", b"[" * 100_000])
def test_bad_documents_are_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match="JSON"):
        decode_document(data, "here")
