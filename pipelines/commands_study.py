"""`thaw study`: variants x seeds, resumable, and what the differences between them are worth."""

import argparse
from pathlib import Path

from rich.console import Console

from components.cli.values import add_values, resolve, size_of
from pipelines.grammar import Commands


def add(commands: Commands) -> None:
    """Mount the command."""
    command = commands.add_parser("study", help="run variants of a recipe with several seeds, and compare them")
    add_values(command)
    command.add_argument("--study", type=Path, metavar="FILE", help="study file (default: the recipe's own)")
    command.add_argument("--data", type=Path, metavar="PATH", help="your data (default: the synthetic data set)")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the study")
    command.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="S", help="default: 0 1 2")
    command.add_argument("--workers", type=int, default=1, metavar="N", help="runs side by side (default: 1)")
    command.add_argument("--draws", type=int, default=2000, metavar="N", help="bootstrap samples (default: 2000)")
    command.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    command.set_defaults(handler=_study)


def _study(arguments: argparse.Namespace) -> int:
    from components.core.tracking.logs import set_up_logging
    from pipelines.local import Run
    from pipelines.study.conduct import PICTURE, RESULTS, conduct
    from pipelines.study.sheets import sheets
    from pipelines.study.values import default_study, read_study

    values, source = resolve(arguments)
    set_up_logging((values.get("runtime") or {}).get("log_level", "info"))
    study = read_study(arguments.study or default_study(arguments.recipe))
    run = Run(arguments.recipe, size_of(arguments), values, source, arguments.data, arguments.out)
    results = conduct(study, run, arguments.seeds, arguments.workers, arguments.draws)
    out = Console()
    for sheet in sheets(results):
        if arguments.markdown:
            out.print(sheet.markdown() + "\n", soft_wrap=True, markup=False, highlight=False)
        else:
            out.print(sheet.table())
    if not arguments.markdown:
        for name in (RESULTS, PICTURE):
            out.print(str(arguments.out / name), soft_wrap=True, markup=False, highlight=False)
    return 0
