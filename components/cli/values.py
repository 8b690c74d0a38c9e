"""From the command line's words to a stage's validated values."""

import argparse
import json
from pathlib import Path
from typing import Any

from components import stages
from components.core.config import merge, parse_override, read_params, validate
from components.core.errors import BadInput
from components.core.stage import Stage, StageConfig

PARAMS = Path(__file__).resolve().parents[2] / "pipelines" / "params"
"""Params files that are shipped: one per recipe."""

OF_PIPELINES = "pipeline"
"""Section of a params file that no stage reads: resources and retries on a cluster."""


def add_values(parser: argparse.ArgumentParser, named: bool = False) -> None:
    """Add the options by which every command takes its values.

    Args:
        named: Take the recipe by `--recipe` too.
    """
    known = f"one of: {', '.join(recipes())}"
    if named:
        parser.add_argument("recipe", metavar="RECIPE", nargs="?", default=argparse.SUPPRESS, help=known)
        parser.add_argument("--recipe", metavar="RECIPE", default="", help="the same by name")
    else:
        parser.add_argument("recipe", metavar="RECIPE", help=known)
    source = parser.add_argument_group("values")
    source.add_argument("--size", help="section of the params file (default: tiny, where the file has sizes)")
    source.add_argument("--preset", metavar="NAME", help="named changes of the params file, laid over the size")
    source.add_argument("--params", type=Path, metavar="FILE", help="params file (default: the recipe's own)")
    source.add_argument("--values", metavar="JSON", help="resolved values as JSON: what pipelines pass")
    source.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override one value (repeatable)",
    )
    how = parser.add_argument_group("how to run")
    how.add_argument("--restart", action="store_true", help="discard unfinished and finished work and start over")
    how.add_argument(
        "--allow-inexact", action="store_true", help="resume in another environment: last digits may differ"
    )
    how.add_argument("--extend-epochs", type=int, default=0, metavar="N", help="train N epochs more than configured")


def recipes() -> list[str]:
    """Names of the recipes that have a params file."""
    return sorted(file.stem for file in PARAMS.glob("*.yaml"))


def resolve(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The plain values a command was given, and their source for error messages.

    Raises:
        BadInput: The recipe is unknown, or the values belong to another recipe, or hold unknown sections.
    """
    values, source = _read(arguments)
    for override in arguments.overrides:
        values = merge(values, parse_override(override))
    flags = {
        "restart": arguments.restart,
        "allow_inexact": arguments.allow_inexact,
        "extend_epochs": arguments.extend_epochs,
    }
    given = {name: flag for name, flag in flags.items() if flag}
    if given:
        values = merge(values, {"runtime": given})
    found = (values.get("recipe") or {}).get("name")
    if found != arguments.recipe:
        raise BadInput(
            f"the values are those of recipe {found!r}, not of {arguments.recipe!r}",
            where=f"{source}: recipe.name",
            remedy="give the recipe its own params file",
        )
    return values, source


def size_of(arguments: argparse.Namespace) -> str:
    """What the values are called where results are listed: a size of the recipe's params file, or the file itself."""
    if arguments.values is not None:
        return "values"
    preset = f"preset {arguments.preset}" if arguments.preset else ""
    if arguments.params is None:
        parts = [str(arguments.size or "tiny"), preset]
    else:
        parts = [str(arguments.params.name), arguments.size or "", preset]
    return ", ".join(part for part in parts if part)


def _read(arguments: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if arguments.values is not None:
        return _read_json(arguments), "--values"
    file: Path = arguments.params or PARAMS / f"{arguments.recipe}.yaml"
    if arguments.params is None and arguments.recipe not in recipes():
        raise BadInput(
            f"no recipe {arguments.recipe!r}", where="RECIPE", remedy=f"the recipes are {', '.join(recipes())}"
        )
    size = arguments.size or (None if arguments.params is not None else "tiny")
    named = [f"size {size}" if size else "", f"preset {arguments.preset}" if arguments.preset else ""]
    return read_params(file, size, preset=arguments.preset), ", ".join([str(file), *filter(None, named)])


def _read_json(arguments: argparse.Namespace) -> dict[str, Any]:
    if arguments.preset:
        raise BadInput(
            "resolved values have no presets", where="--preset", remedy="resolve it with --params, or leave it out"
        )
    try:
        values = json.loads(arguments.values)
    except json.JSONDecodeError as error:
        raise BadInput(f"not valid JSON: {error}", where="--values", remedy="pass the JSON of a params file") from error
    return dict(values)


def configure(stage: Stage[Any, Any, Any], values: dict[str, Any], source: str) -> StageConfig:
    """A stage's Config from the values of all stages.

    Raises:
        BadInput: A section no stage knows, or a value that is not valid.
    """
    known = {OF_PIPELINES} | {name for each in stages.NAMES for name in stages.load(each).config.model_fields}
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadInput(
            f"unknown section {', '.join(map(repr, unknown))}",
            where=source,
            remedy=f"the sections are {', '.join(sorted(known))}",
        )
    fields = stage.config.model_fields
    config: StageConfig = validate(stage.config, {key: values[key] for key in fields if key in values}, source)
    return config
