"""A bundle: one folder with graphs, weights, the recipe's values and `metadata.json`. No torch."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any

from components.core.checkpoint.document import LIMIT
from components.core.digest import digest_path
from components.core.errors import BadInput

METADATA = "metadata.json"
RECIPE = "recipe.json"
WEIGHTS = "weights.safetensors"
SCHEMA = 1

PACKAGES = ("torch", "open_clip_torch", "timm", "segment-anything", "onnx", "onnxruntime", "numpy", "safetensors")
"""Packages whose versions a bundle records, where they are installed."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle whose files are whole.

    Attributes:
        folder: Where it lies.
        metadata: What `metadata.json` says.
        recipe: The recipe's values.
    """

    folder: Path
    metadata: Mapping[str, Any]
    recipe: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "Bundle":
        """Read a bundle's metadata and check every file's digest.

        Raises:
            BadInput: There is no bundle, it is of another schema, or a file is missing or damaged.
        """
        metadata = _read(folder / METADATA)
        if metadata.get("schema") != SCHEMA:
            raise BadInput(
                f"the bundle has schema {metadata.get('schema')!r}, this program reads {SCHEMA}",
                where=str(folder / METADATA),
                remedy="export again, or use the version of Thaw that wrote it",
            )
        for name, expected in dict(metadata.get("files", {})).items():
            _verify(folder, name, expected)
        return cls(folder, metadata, _read(folder / RECIPE))


def _verify(folder: Path, name: str, expected: str) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"the metadata names {name!r}, outside of the bundle", where=str(folder), remedy="export again")
    if not path.is_file() or digest_path(path) != expected:
        raise BadInput("a file of the bundle is missing or damaged", where=str(path), remedy="copy it or export again")


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LIMIT:
            raise BadInput("larger than any bundle's file of this name", where=str(path), remedy="export again")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(
            f"not a bundle: {error.strerror}", where=str(path), remedy="give the folder that `thaw export` wrote"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInput(f"not valid JSON: {error}", where=str(path), remedy="export again") from error
    if not isinstance(document, dict):
        raise BadInput("not a JSON mapping", where=str(path), remedy="export again")
    return document


def write_json(path: Path, values: Any) -> None:
    """Values as readable JSON that can leave this machine."""
    text = json.dumps(portable(values), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def portable(values: Any) -> Any:
    """The same values for another machine: None for NaN and infinities, and of paths the names alone."""
    if isinstance(values, Mapping):
        return {str(key): portable(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [portable(value) for value in values]
    if isinstance(values, PurePath):
        return values.name
    return None if isinstance(values, float) and not math.isfinite(values) else values


def close(folder: Path, metadata: Mapping[str, Any], recipe: Mapping[str, Any]) -> None:
    """Write the recipe's values, then the metadata with the digest of every file: what makes a folder a bundle.

    Args:
        recipe: Its values, paths as `Path`: of those only the names are written.
    """
    write_json(folder / RECIPE, recipe)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    digests = {path.relative_to(folder).as_posix(): digest_path(path) for path in files}
    write_json(folder / METADATA, {**metadata, "schema": SCHEMA, "files": digests})


def versions() -> dict[str, str]:
    """Versions of the packages that a bundle depends on."""
    return {name: found for name in PACKAGES if (found := installed(name))}


def installed(name: str) -> str:
    """Version of an installed distribution, or an empty string."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
