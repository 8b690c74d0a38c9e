"""`thaw <stage> RECIPE ...`: run one stage on the given paths."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from components import stages
from components.cli.member import parse_member
from components.cli.values import add_values, configure, resolve
from components.core.component import confusion_metadata, executor_output
from components.core.errors import BadInput, ThawError
from components.core.launch import place
from components.core.stage import Stage, execute
from components.core.tracking.logs import redact, secrets_of, set_up_logging
from components.outcome import command as outcome

TOLD = 32_000
"""Characters of the numbers that an artifact carries along. The next task is given them in one argument, of which Linux
passes on 128 KiB at most; all numbers are in the metrics file itself."""


def parser(program: str) -> tuple[argparse.ArgumentParser, "argparse._SubParsersAction[argparse.ArgumentParser]"]:
    """The parser with one command per stage, and its commands, to which other doors add theirs."""
    top = argparse.ArgumentParser(
        prog=program, description="Staged training of medical vision models: freeze, warm up, thaw."
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in stages.NAMES:
        _add_stage(commands, name)
    outcome.add(commands)
    return top, commands


def _add_stage(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str) -> None:
    stage = stages.load(name)
    command = commands.add_parser(name.replace("_", "-"), aliases=[name], help=stage.summary, description=stage.summary)
    add_values(command)
    ports = command.add_argument_group("ports")
    for port in stage.input_ports():
        ports.add_argument(*stage.flags(port.name), type=Path, required=port.required, metavar="PATH", help="input")
    for port in stage.output_ports():
        ports.add_argument(*stage.flags(port.name), type=Path, required=port.required, metavar="PATH", help="output")
    member = command.add_argument_group("member of a cross-validation")
    member.add_argument(
        "--fold", default="", metavar="I/K", help="test fold I, from 0, of K (default: the values' split)"
    )
    member.add_argument("--seed", default="", metavar="S", help="training seed (default: the values')")
    pipeline = command.add_argument_group("set by the pipeline")
    pipeline.add_argument("--executor-input", help=argparse.SUPPRESS)
    pipeline.add_argument("--executor-output", type=Path, help=argparse.SUPPRESS)
    command.set_defaults(handler=lambda arguments: run_stage(stage, arguments))


def run_stage(stage: Stage[Any, Any, Any], arguments: argparse.Namespace) -> int:
    """Run a stage as the command line asks."""
    values, source = resolve(arguments)
    config = configure(stage, parse_member(arguments.seed, arguments.fold).over(values), source)
    first = place().first
    set_up_logging(config.runtime.log_level if first else "warning")
    inputs = stage.inputs(**{port.name: _input(getattr(arguments, port.name)) for port in stage.input_ports()})
    outputs = stage.outputs(**{port.name: getattr(arguments, port.name) for port in stage.output_ports()})
    if not execute(stage, config, inputs, outputs) and first:
        print(f"{stage.name}: nothing to do, the outputs are up to date", file=sys.stderr)  # noqa: T201
    if arguments.executor_output is not None and first:
        _tell_pipeline(stage, arguments)
    return 0


def _input(path: Path | None) -> Path | None:
    """An empty path is how a pipeline says that an optional input is not given."""
    return None if path is None or str(path) in {"", "."} else path


def _tell_pipeline(stage: Stage[Any, Any, Any], arguments: argparse.Namespace) -> None:
    """Write the file from which KFP reads the outputs' metadata: the metrics' numbers and the confusion matrix."""
    metadata: dict[str, dict[str, Any]] = {}
    ports = {port.name for port in stage.output_ports()}
    if "metrics" in ports:
        written = json.loads(arguments.metrics.read_text(encoding="utf-8"))
        metadata["metrics"] = _numbers(written)
        if "classes" in ports and written.get("confusion"):
            metadata["classes"] = confusion_metadata(**written["confusion"])
    arguments.executor_output.parent.mkdir(parents=True, exist_ok=True)
    arguments.executor_output.write_text(executor_output(arguments.executor_input, metadata), encoding="utf-8")


def _numbers(written: Any) -> dict[str, float]:
    """The numbers of a metrics file by flat name: the least nested ones first, as far as TOLD reaches."""
    flat = [entry for entry in _flat("", written, 0) if isinstance(entry[1], int | float)]
    ordered = sorted(flat, key=lambda entry: entry[2])
    reached = accumulate(len(json.dumps({name: value})) for name, value, _ in ordered)
    return {name: value for (name, value, _), length in zip(ordered, reached, strict=True) if length <= TOLD}


def _flat(path: str, values: Any, depth: int) -> list[tuple[str, Any, int]]:
    """Name, value and depth of everything that is no mapping."""
    if not isinstance(values, dict):
        return [(path, values, depth)]
    return [entry for key, value in values.items() for entry in _flat(f"{path}_{key}".lstrip("_"), value, depth + 1)]


def run_command(top: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    """Parse, run, and turn errors into messages and exit codes."""
    arguments = top.parse_args(argv)
    handler: Callable[[argparse.Namespace], int] = arguments.handler
    try:
        return handler(arguments)
    except ThawError as error:
        kind = "" if isinstance(error, BadInput) else f" ({type(error).__name__})"
        text = redact(f"thaw: error{kind}: {error}", secrets_of(os.environ))
        print(text, file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        print("thaw: interrupted; run the same command again to continue", file=sys.stderr)  # noqa: T201
        return 130


def main(argv: Sequence[str] | None = None) -> int:
    """Entry of `python -m components`."""
    top, _ = parser("python -m components")
    return run_command(top, argv)
