"""Params files: strict values, deep-merged sizes, and errors that name file, key, value and remedy."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from components.core.errors import BadInput

T = TypeVar("T", bound=BaseModel)

SHARED = "shared"
"""The section of a params file that every size starts from."""

PRESETS = "presets"
"""The section of a params file that holds named changes to its sizes: `--preset NAME` lays one over the chosen size."""


class Values(BaseModel):
    """Base of every configuration class: frozen, and a typo is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def read_params(
    path: Path, size: str | None = None, overrides: Iterable[str] = (), preset: str | None = None
) -> dict[str, Any]:
    """Read a params file and return the plain values of one size.

    A file holds either the values themselves, or a `shared` section plus one section per size, which is
    merged over it key by key (lists and scalars replace, mappings merge). Both may have a section `presets`
    of named changes, which is no size: the chosen one is merged over the size.

    Args:
        path: YAML file.
        size: Section to take; None for a file without sizes.
        overrides: `dotted.key=yaml-value` strings, applied last.
        preset: Section of `presets` to lay over the size; None for none.

    Raises:
        BadInput: The file is missing or not a mapping, the size or the preset is unknown, an override is malformed.
    """
    document = _read_yaml(path)
    changes = _preset(document.pop(PRESETS, None), preset, path)
    if SHARED in document or size is not None:
        known = _sizes(document)
        if size not in known:
            raise BadInput(f"no size {size!r} in the params file", where=str(path), remedy=f"choose one of {known}")
        document = merge(document.get(SHARED) or {}, document[size] or {})
    document = merge(document, changes)
    for override in overrides:
        document = merge(document, parse_override(override))
    return document


def sizes(path: Path) -> list[str]:
    """The sizes that a params file has; none where it holds the values themselves.

    Raises:
        BadInput: The file is missing or not a mapping.
    """
    document = _read_yaml(path)
    return _sizes(document) if SHARED in document else []


def presets(path: Path) -> list[str]:
    """The presets that a params file has.

    Raises:
        BadInput: The file is missing or not a mapping, or its presets are none.
    """
    return sorted(_presets(_read_yaml(path).get(PRESETS), path))


def _sizes(document: Mapping[str, Any]) -> list[str]:
    return sorted(set(document) - {SHARED, PRESETS})


def _presets(section: Any, path: Path) -> Mapping[str, Mapping[str, Any]]:
    named = section or {}
    if not isinstance(named, Mapping) or not all(isinstance(one, Mapping) for one in named.values()):
        raise BadInput(
            "presets are named sections of keys to values", where=f"{path}: {PRESETS}", remedy="write name: {key: ...}"
        )
    return named


def _preset(section: Any, name: str | None, path: Path) -> Mapping[str, Any]:
    named = _presets(section, path)
    if name is None:
        return {}
    if name not in named:
        remedy = f"choose one of {sorted(named)}" if named else "the file has no presets: leave --preset out"
        raise BadInput(f"no preset {name!r} in the params file", where=str(path), remedy=remedy)
    return named[name]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput("params file not found", where=str(path), remedy="check the path given to --params") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(f"not valid YAML: {error}", where=str(path), remedy="mend the syntax") from error
    if not isinstance(document, dict):
        raise BadInput("a params file must be a mapping of keys to values", where=str(path), remedy="start with keys")
    return document


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on top: mappings merge, everything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def parse_override(text: str) -> dict[str, Any]:
    """Turn `a.b.c=value` into `{"a": {"b": {"c": value}}}`; the value is read as YAML."""
    key, separator, raw = text.partition("=")
    if not separator or not key:
        raise BadInput(f"cannot read the override {text!r}", where="--set", remedy="write --set dotted.key=value")
    try:
        value: Any = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise BadInput(
            f"cannot read the value {raw!r}", where=f"--set {key}", remedy="write a YAML value, quoted for the shell"
        ) from error
    for name in reversed(key.split(".")):
        value = {name: value}
    return dict(value)


def validate(cls: type[T], values: Mapping[str, Any], source: str) -> T:
    """Build `cls` from plain values.

    Raises:
        BadInput: Listing every wrong key with its value, the nearest known key, and the source.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        problems = [_describe(cls, values, problem) for problem in error.errors(include_url=False)]
        raise BadInput(
            "the configuration is not valid:\n" + "\n".join(f"    {problem}" for problem in problems),
            where=source,
            remedy="correct the keys above; `thaw params RECIPE` prints every key with its value",
        ) from error


def _describe(cls: type[BaseModel], values: Mapping[str, Any], problem: Any) -> str:
    key = _key(values, problem["loc"], missing=problem["type"] == "missing")
    if problem["type"] != "extra_forbidden":
        return f"{key} = {problem.get('input')!r}: {problem['msg']}"
    near = difflib.get_close_matches(str(problem["loc"][-1]), _known_keys(cls), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{key} = {problem['input']!r}: unknown key{hint}"


def _key(values: Any, place: Sequence[str | int], missing: bool) -> str:
    """The dotted key as a file spells it: pydantic also names the members of unions that it tried, which none holds."""
    found = []
    for part in place[:-1] if missing else place:
        listed = isinstance(values, list | tuple) and isinstance(part, int)
        if listed or (isinstance(values, Mapping) and part in values):
            values = values[part]
            found.append(part)
    return ".".join(map(str, [*found, place[-1]] if missing else found))


def _known_keys(cls: type[BaseModel]) -> list[str]:
    """Every property name anywhere in the schema: close enough for a spelling hint."""
    schema = cls.model_json_schema()
    sections = [schema, *schema.get("$defs", {}).values()]
    return sorted({name for section in sections for name in section.get("properties", {})})


def canonical(values: Any) -> str:
    """One spelling for equal values: what configuration digests are taken over."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
