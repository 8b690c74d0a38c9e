"""`thaw crossvalidate`: folds x seeds, resumable, and the table over all of them."""

import argparse
from pathlib import Path

from rich.console import Console

from components.cli.values import add_values, resolve, size_of
from pipelines.grammar import Commands


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("crossvalidate", help="run every fold with every seed, and compare the systems")
    add_values(command)
    command.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the runs")
    command.add_argument("--folds", type=int, default=5, metavar="K", help="folds (default: %(default)s)")
    command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    command.set_defaults(handler=_crossvalidate)


def _crossvalidate(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import set_up_logging
    from pipelines.crossvalidate import crossvalidate, results_table
    from pipelines.local import Run

    values, source = resolve(arguments)
    set_up_logging((values.get("runtime") or {}).get("log_level", "info"))
    run = Run(arguments.recipe, size_of(arguments), values, source, arguments.data, arguments.out)
    results = crossvalidate(run, arguments.folds, arguments.seeds)
    Console().print(results_table(results))
    return 0
