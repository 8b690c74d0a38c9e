"""Strict JSON that gives back what was put in, infinities and NaN included."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from components.core.errors import BadInput

LIMIT = 64 << 20
"""Bytes of the largest document that is read."""

_FLOAT = "$float"


def encode_document(values: Mapping[str, Any]) -> bytes:
    """Plain values as UTF-8 JSON with sorted keys: equal values give equal bytes.

    Floats come back bit for bit; those that JSON has no word for are written `{"$float": "nan"}`. Tuples come back
    as lists, NumPy scalars as Python's.

    Raises:
        BadInput: A value is no mapping with string keys, sequence, string, number, boolean or None.
    """
    return (json.dumps(_plain(values, "meta"), sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {_FLOAT: repr(value)}
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise BadInput(
        f"{type(value).__name__} cannot be written as JSON", where=where, remedy="tensors go into a tensor group"
    )


def decode_document(data: bytes, where: str) -> dict[str, Any]:
    """The inverse of `encode_document`.

    Raises:
        BadInput: The bytes are no JSON mapping.
    """
    try:
        document = json.loads(data, object_hook=_restored, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not valid JSON: {error}", where=where, remedy="restore the file or start over") from error
    if not isinstance(document, dict):
        raise BadInput("not a JSON mapping", where=where, remedy="restore the file or start over")
    return document


def _restored(mapping: dict[str, Any]) -> Any:
    if set(mapping) == {_FLOAT}:
        return float(mapping[_FLOAT])
    return mapping


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
