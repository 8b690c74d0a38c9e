"""`thaw`: the stages, and what needs more than one of them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from components import stages
from components.cli.main import parser, run_command
from components.cli.values import add_values, configure, resolve, size_of
from components.core.config import merge
from pipelines import (
    commands_ask,
    commands_benchmark,
    commands_cache,
    commands_crossvalidate,
    commands_doctor,
    commands_fetch,
    commands_import,
    commands_monitoring,
    commands_pipeline,
    commands_serve,
    commands_status,
    commands_study,
)
from pipelines.grammar import Commands

GROUPS = (
    commands_ask,
    commands_serve,
    commands_status,
    commands_crossvalidate,
    commands_study,
    commands_doctor,
    commands_fetch,
    commands_cache,
    commands_import,
    commands_monitoring,
    commands_pipeline,
    commands_benchmark,
)
"""Commands that live in files of their own; none of these imports torch or kfp before it runs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of the console script."""
    top, commands = parser("thaw")
    mount(commands)
    return run_command(top, argv)


def mount(commands: Commands) -> None:
    """Add every command that is no stage."""
    _add_run(commands)
    _add_params(commands)
    for module in GROUPS:
        module.add(commands)


def _add_run(commands: Commands) -> None:
    command = commands.add_parser("run", help="run every stage of a recipe, in order, into one folder")
    add_values(command)
    command.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    command.add_argument("--seed", type=int, help="training seed (default: the params file's)")
    command.add_argument("--store", metavar="URI", help="folder or s3:// prefix for checkpoints (default: in --out)")
    command.set_defaults(handler=_run)


def _run(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import set_up_logging
    from pipelines.local import Run, output, run_all
    from pipelines.table import print_results

    values, source = resolve(arguments)
    if arguments.seed is not None:
        values = merge(values, {"seed": arguments.seed})
    if arguments.store is not None:
        values = merge(values, {"runtime": {"checkpoints": {"store": arguments.store}}})
    set_up_logging((values.get("runtime") or {}).get("log_level", "info"))
    run = Run(arguments.recipe, size_of(arguments), values, source, arguments.data, arguments.out)
    summary = run_all(run)
    print_results(summary, output(run, "evaluate", "report"), output(run, "export", "bundle"))
    return 0


def _add_params(commands: Commands) -> None:
    command = commands.add_parser("params", help="print every value of a recipe at a size, as YAML")
    add_values(command)
    command.set_defaults(handler=_params)


def _params(arguments: argparse.Namespace) -> int:
    values, source = resolve(arguments)
    every: dict[str, Any] = {}
    for name in stages.NAMES:
        every = merge(every, configure(stages.load(name), values, source).model_dump(mode="json"))
    sys.stdout.write(yaml.safe_dump(merge(values, every), sort_keys=False))
    return 0
