"""Arrays to bytes and back, for code without torch. The same format as `codec`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from components.core.checkpoint.foreign import refuse_foreign
from components.core.errors import BadInput


def encode_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as one safetensors file.

    Raises:
        BadInput: A value is no array of numbers or booleans (object arrays would need pickle).
    """
    for name, value in arrays.items():
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "biuf":
            kind = value.dtype if isinstance(value, np.ndarray) else type(value).__name__
            raise BadInput(f"only arrays of numbers are stored, not {kind}", where=name, remedy="convert it first")
    return safetensors.numpy.save({name: np.ascontiguousarray(arrays[name]) for name in sorted(arrays)})


def decode_arrays(data: bytes, where: str) -> dict[str, NDArray[Any]]:
    """The inverse of `encode_arrays`.

    Raises:
        BadInput: The bytes are no safetensors file, or hold a type that NumPy does not know (bfloat16).
    """
    refuse_foreign(data[:16], where)
    try:
        return dict(safetensors.numpy.load(data))
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"not a safetensors file that NumPy can hold: {error}", where=where, remedy="restore the file"
        ) from error
