"""`thaw pipeline compile|run`: the graph of a recipe as a file, or on this machine. Free of torch."""

import argparse
import os
from pathlib import Path

from rich.console import Console

from components.cli.values import add_values, resolve
from components.core.errors import BadInput
from pipelines.grammar import Commands, group


def add(commands: Commands) -> None:
    """Mount the commands."""
    members = group(commands, "pipeline", "compile a recipe's graph for a cluster, or run it on this machine")
    compiling = members.add_parser("compile", help="write the graph as IR YAML")
    add_values(compiling)
    compiling.add_argument("--image", required=True, metavar="NAME@sha256:...", help="image that trains")
    compiling.add_argument("--cpu-image", metavar="NAME@sha256:...", help="smaller image for prepare")
    compiling.add_argument("--output", type=Path, required=True, metavar="FILE", help="IR YAML to write")
    compiling.set_defaults(handler=_compile)
    running = members.add_parser("run", help="run the compiled graph with one process per step")
    add_values(running)
    running.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    running.add_argument("--root", type=Path, required=True, metavar="DIR", help="folder of the run")
    running.set_defaults(handler=_run)


def _compile(arguments: argparse.Namespace) -> int:
    from pipelines.commands import compile_command

    values, _ = resolve(arguments)
    file = compile_command(arguments.recipe, values, arguments.image, arguments.output, arguments.cpu_image)
    Console().print(f"graph   {file}", soft_wrap=True, markup=False, highlight=False)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import redact, secrets_of
    from pipelines.commands import run_command

    values, _ = resolve(arguments)
    if arguments.data is not None and not arguments.data.exists():
        raise BadInput("the data does not exist", where=str(arguments.data), remedy="correct --data")
    result = run_command(arguments.recipe, values, arguments.data, arguments.root)
    out = Console()
    for stage, ports in result.outputs.items():
        for port, path in ports.items():
            out.print(f"{stage}.{port}   {path}", soft_wrap=True, markup=False, highlight=False)
    if result.failure is not None:
        text = f"thaw: error: {result.failure.task} failed ({result.failure.exit_code}): {result.failure.reason}"
        Console(stderr=True).print(redact(text, secrets_of(os.environ)), soft_wrap=True, markup=False, highlight=False)
    return result.exit_code
