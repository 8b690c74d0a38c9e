"""Tensors to bytes and back: safetensors, never pickle."""

from collections.abc import Mapping

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from components.core.checkpoint.foreign import refuse_foreign
from components.core.errors import BadInput


def encode_tensors(tensors: Mapping[str, Tensor]) -> bytes:
    """Named tensors as one safetensors file: equal tensors give equal bytes, in whatever order they come.

    Args:
        tensors: Of any shape, layout and device. Tensors that share memory are written one by one.

    Raises:
        BadInput: A value is something else than a dense tensor.
    """
    for name, value in tensors.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            raise BadInput(
                f"only dense tensors are stored, not {type(value).__name__}",
                where=name,
                remedy="put plain values into the checkpoint's meta",
            )
    return safetensors.torch.save(_apart(tensors))


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous CPU tensors of which no two share memory; copied only where they are not that already."""
    taken: set[int] = set()
    result = {}
    for name in sorted(tensors):
        tensor = tensors[name].detach().to("cpu").contiguous()
        memory = tensor.untyped_storage().data_ptr()
        result[name] = tensor.clone() if memory in taken else tensor
        taken.add(memory)
    return result


def snapshot(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that nothing else holds, in the order of their names."""
    return {name: _own(tensors[name].detach()) for name in sorted(tensors)}


def _own(tensor: Tensor) -> Tensor:
    return tensor.to("cpu", copy=True, memory_format=torch.contiguous_format).contiguous()


def decode_tensors(data: bytes, where: str) -> dict[str, Tensor]:
    """The inverse of `encode_tensors`: CPU tensors by name.

    Raises:
        BadInput: The bytes are no safetensors file; a pickle is named as such.
    """
    refuse_foreign(data[:16], where)
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise BadInput(
            f"not a whole safetensors file: {error}", where=where, remedy="restore the file or start over"
        ) from error
