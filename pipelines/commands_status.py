"""`thaw status DIR`: what a run has done so far, while it runs or after."""

import argparse
from pathlib import Path

from rich.console import Console

from pipelines.grammar import Commands


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("status", help="what a run folder holds: stages, newest checkpoints, best metrics")
    command.add_argument("folder", type=Path, metavar="DIR", help="--out of `thaw run`")
    command.add_argument("--store", metavar="URI", help="--store of `thaw run`, if it had one")
    command.set_defaults(handler=_status)


def _status(arguments: argparse.Namespace) -> int:
    from pipelines.status import read_status, status_table

    found = read_status(arguments.folder, arguments.store)
    out = Console()
    out.print(status_table(arguments.folder, found))
    for stage in found:
        if stage.remark:
            out.print(f"{stage.stage}: {stage.remark}", soft_wrap=True, markup=False, highlight=False)
    return 0
