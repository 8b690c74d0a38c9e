"""Foreign checkpoints (SAM, BiomedCLIP, ResNet) read without running code in them, compared key by key, rewritten.

`import_checkpoint` is the only door: `.pth`, `.pt`, `.bin` through torch's restricted unpickler, `.safetensors` as
they are; out comes a safetensors file with the model's own names, and a report of what matched.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from components.core.errors import BadInput

MAX_BYTES = 16 * 10**9
"""No checkpoint of this field is larger; a larger file is taken for a mistake."""

PICKLED = (".pth", ".pt", ".bin")
WRAPPERS = ("state_dict", "model", "model_state_dict")
"""Keys under which training scripts keep the weights."""

IGNORED = ("position_ids",)
"""Buffers that older transformers saved and newer ones compute."""

Shapes: TypeAlias = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class ImportReport:
    """How a file's keys compare with a model's.

    Attributes:
        matched: Keys with the right shape.
        missing: Keys of the model that the file lacks.
        unexpected: Keys of the file that the model lacks.
        mismatched: Keys with another shape: (in the file, in the model).
        ignored: Keys of the file left out on purpose.
    """

    matched: list[str]
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Does the file hold exactly the model's weights?"""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        wanted = len(self.matched) + len(self.missing) + len(self.mismatched)
        share = 100 * len(self.matched) / max(wanted, 1)
        lines = [f"{len(self.matched)} of {wanted} keys matched ({share:.1f} %)"]
        lines += [f"  missing: {key}" for key in self.missing]
        lines += [f"  unexpected: {key}" for key in self.unexpected]
        lines += [f"  shape of {key}: file {list(a)}, model {list(b)}" for key, (a, b) in self.mismatched.items()]
        lines += [f"  ignored: {key}" for key in self.ignored]
        return "\n".join(lines)


def import_checkpoint(source: Path, target: Path, model: nn.Module | Mapping[str, tuple[int, ...]]) -> ImportReport:
    """Rewrite a foreign checkpoint as safetensors with a model's key names.

    Args:
        source: `.pth`, `.pt`, `.bin` or `.safetensors`.
        target: Written only if at least one key matched; holds the matched keys.
        model: The model it is for (also on the meta device), or its shapes by key.

    Raises:
        BadInput: The file cannot be read safely, or nothing in it matches.
    """
    tensors = read_tensors(source)
    report = compare(tensors, shapes(model) if isinstance(model, nn.Module) else model, source)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.unfinished")
    save_file({key: tensors[key].contiguous().clone() for key in report.matched}, partial)
    partial.replace(target)
    return report


def load_into(model: nn.Module, source: Path) -> ImportReport:
    """Load a checkpoint into a model that it must fit exactly.

    Raises:
        BadInput: Listing every key that differs.
    """
    tensors = read_tensors(source)
    report = compare(tensors, shapes(model), source)
    if not report.complete:
        raise BadInput(
            f"the checkpoint does not fit the model: {report}", where=str(source), remedy="choose the model it is of"
        )
    model.load_state_dict({key: tensors[key] for key in report.matched}, strict=True)
    return report


def shapes(model: nn.Module) -> Shapes:
    """Shapes of a model's persistent tensors by key."""
    return {key: tuple(value.shape) for key, value in model.state_dict().items()}


def compare(tensors: Mapping[str, Tensor], wanted: Mapping[str, tuple[int, ...]], source: Path) -> ImportReport:
    """Compare a file's tensors with the shapes a model wants.

    Raises:
        BadInput: Nothing matches.
    """
    ignored = [key for key in tensors if key not in wanted and key.rsplit(".", 1)[-1] in IGNORED]
    found = {key: tuple(value.shape) for key, value in tensors.items() if key not in ignored}
    report = ImportReport(
        matched=[key for key in wanted if found.get(key) == tuple(wanted[key])],
        missing=[key for key in wanted if key not in found],
        unexpected=[key for key in found if key not in wanted],
        mismatched={k: (found[k], tuple(wanted[k])) for k in wanted if k in found and found[k] != tuple(wanted[k])},
        ignored=ignored,
    )
    if not report.matched:
        examples = f"the file has {list(found)[:3]}, the model {list(wanted)[:3]}"
        raise BadInput(
            f"no key of the checkpoint matches the model: {examples}",
            where=str(source),
            remedy="check that the file is a checkpoint of this model",
        )
    return report


def read_tensors(source: Path) -> dict[str, Tensor]:
    """Every tensor of a checkpoint by key, without wrappers (`state_dict`) and the prefix of data-parallel training.

    Raises:
        BadInput: Missing, too large, of an unknown kind, damaged, or holding code.
    """
    if not source.is_file():
        raise BadInput("checkpoint not found", where=str(source), remedy="check the path")
    if source.stat().st_size > MAX_BYTES:
        raise BadInput(
            f"the checkpoint has {source.stat().st_size / 1e9:.1f} GB, more than the limit of {MAX_BYTES / 1e9:.0f}",
            where=str(source),
            remedy="check that this is the file you meant",
        )
    if source.suffix == ".safetensors":
        return _read_safetensors(source)
    if source.suffix in PICKLED:
        return _unwrap(_read_pickled(source), source)
    raise BadInput(
        f"unknown kind of checkpoint {source.suffix!r}", where=str(source), remedy="give .pth or .safetensors"
    )


def _read_safetensors(source: Path) -> dict[str, Tensor]:
    try:
        return load_file(source)
    except SafetensorError as error:
        raise BadInput(f"damaged safetensors: {error}", where=str(source), remedy="fetch the file again") from error


def _read_pickled(source: Path) -> Any:
    try:
        return torch.load(source, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise BadInput(
            "the file is damaged, or holds objects other than tensors, which are never loaded",
            where=str(source),
            remedy="export the plain state_dict where the file came from, or fetch it again",
        ) from error


def _unwrap(content: Any, source: Path) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    tensors = content if isinstance(content, Mapping) else {}
    tensors = {key: value for key, value in tensors.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not tensors:
        raise BadInput("the file holds no named tensors", where=str(source), remedy="give a state_dict")
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return tensors
